// Logs in with nodemailer, sends mails and prints what became of each recipient. The settings come as JSON in the
// environment.

import nodemailer from 'nodemailer';

const settings = JSON.parse(process.env.SETTINGS);
const transport = nodemailer.createTransport({
    host: 'localhost',
    port: settings.port,
    secure: settings.secure,
    requireTLS: !settings.secure,
    auth: { user: settings.user, pass: settings.password },
    pool: true,
    tls: { rejectUnauthorized: false },
});
const sent = await Promise.all(
    settings.subjects.map((subject) =>
        transport.sendMail({ from: settings.sender, to: settings.to, bcc: settings.bcc, subject, text: subject }),
    ),
);
transport.close();
console.log(JSON.stringify(sent.map(({ accepted, rejected, response }) => ({ accepted, rejected, response }))));
