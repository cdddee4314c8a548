// Sends mails with nodemailer and prints what became of each recipient. The settings come as JSON in the environment.

import nodemailer from 'nodemailer';

const settings = JSON.parse(process.env.SETTINGS);
const transport = nodemailer.createTransport({
    host: 'localhost',
    port: settings.port,
    secure: false,
    requireTLS: settings.tls,
    ignoreTLS: !settings.tls,
    pool: true,
    maxConnections: 3,
    tls: { rejectUnauthorized: false },
});
const sent = await Promise.all(
    settings.subjects.map((subject) =>
        transport.sendMail({
            from: 'Bob <bob@example.com>',
            to: settings.to,
            subject,
            text: `${subject}\n.a line with a dot\n`,
            html: `<p>${subject}</p>`,
            attachments: [{ filename: '첨부.bin', content: Buffer.alloc(100_000, subject) }],
        }),
    ),
);
transport.close();
console.log(JSON.stringify(sent.map(({ accepted, rejected, response }) => ({ accepted, rejected, response }))));
