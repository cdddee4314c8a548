// Walks through a mailbox with imapflow and prints what it saw as JSON. The settings come as JSON in the environment.

import { ImapFlow } from 'imapflow';

const settings = JSON.parse(process.env.SETTINGS);
const connect = async () => {
    const client = new ImapFlow({
        host: 'localhost',
        port: settings.port,
        secure: settings.secure,
        auth: { user: settings.user, pass: settings.password },
        tls: { rejectUnauthorized: false },
        logger: false,
    });
    await client.connect();
    return client;
};

const seen = {};
const client = await connect();
await client.mailboxCreate('여행/2026');
await client.append('여행/2026', settings.message, ['\\Seen', '$Label']);
seen.folders = (await client.list()).map((folder) => folder.path);

const lock = await client.getMailboxLock('INBOX');
try {
    seen.exists = client.mailbox.exists;
    seen.messages = [];
    for await (const message of client.fetch('1:*', { uid: true, envelope: true, bodyStructure: true, flags: true })) {
        seen.messages.push({ uid: message.uid, subject: message.envelope.subject, type: message.bodyStructure.type });
    }
    seen.source = (await client.fetchOne('1', { source: true })).source.toString('latin1');
    await client.messageFlagsAdd('1:2', ['\\Flagged']);
    seen.flagged = await client.search({ flagged: true }, { uid: true });
    seen.moved = [...(await client.messageMove('3', '여행/2026')).uidMap].length;
    seen.deleted = await client.messageDelete('1');

    // News while idling: another connection changes the mailbox.
    const news = new Promise((resolve) => client.once('exists', resolve));
    const idling = client.idle();
    const other = await connect();
    await other.append('INBOX', settings.message);
    seen.news = (await news).count;
    await other.logout();
    await client.noop();
    await idling;
} finally {
    lock.release();
}
seen.status = await client.status('여행/2026', { messages: true, unseen: true, uidNext: true });
await client.logout();
console.log(JSON.stringify(seen, (_, value) => (typeof value === 'bigint' ? Number(value) : value)));
