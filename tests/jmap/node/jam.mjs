// Walks through an account with jmap-jam and prints what it saw as JSON. The settings come as JSON in the environment.

import { JamClient } from 'jmap-jam';

const settings = JSON.parse(process.env.SETTINGS);
const jam = new JamClient({ sessionUrl: settings.url, bearerToken: 'none' });
// It knows bearer tokens only; the account has a password.
await jam.session.catch(() => null);
jam.authHeader = `Basic ${Buffer.from(`${settings.user}:${settings.password}`).toString('base64')}`;
jam.session = JamClient.loadSession(settings.url, jam.authHeader);

const seen = {};
const accountId = await jam.getPrimaryAccount();
seen.echo = (await jam.request(['Core/echo', { hello: 'Grüße' }], { using: ['urn:ietf:params:jmap:core'] }))[0];

const [mailboxes] = await jam.api.Mailbox.get({ accountId });
const inbox = mailboxes.list.find((mailbox) => mailbox.role === 'inbox').id;
const [made] = await jam.api.Mailbox.set({ accountId, create: { travel: { name: '여행' } } });
const travel = made.created.travel.id;

// What it uploads has no media type.
const blob = await jam.uploadBlob(accountId, new TextEncoder().encode(settings.message));
seen.uploaded = blob.size;
const [imported] = await jam.api.Email.import({
    accountId,
    emails: { one: { blobId: blob.blobId, mailboxIds: { [inbox]: true }, keywords: {} } },
});
const email = imported.created.one.id;

const [many, meta] = await jam.requestMany((t) => {
    const query = t.Email.query({ accountId, filter: { inMailbox: inbox }, limit: 10, calculateTotal: true });
    const emails = t.Email.get({ accountId, ids: query.$ref('/ids'), properties: ['subject', 'threadId', 'blobId'] });
    const threads = t.Thread.get({ accountId, ids: emails.$ref('/list/*/threadId') });
    return { query, emails, threads };
});
seen.total = many.query.total;
seen.subjects = many.emails.list.map((each) => each.subject);
seen.thread = many.threads.list[0].emailIds.includes(email);
seen.sessionState = meta.sessionState === (await jam.session).state;

const answer = await jam.downloadBlob({
    accountId, blobId: many.emails.list[0].blobId, mimeType: 'message/rfc822', fileName: '편지 1.eml',
});
seen.downloaded = await answer.text();

const [before] = await jam.api.Email.get({ accountId, ids: [] });
const [changed] = await jam.api.Email.set({
    accountId, update: { [email]: { 'keywords/$seen': true, [`mailboxIds/${travel}`]: true, [`mailboxIds/${inbox}`]: null } },
});
seen.updated = Object.keys(changed.updated).includes(email);
const [changes] = await jam.api.Email.changes({ accountId, sinceState: before.state });
seen.changes = changes.updated.includes(email);

const [draft] = await jam.api.Email.set({
    accountId,
    create: {
        draft: {
            mailboxIds: { [travel]: true },
            keywords: { $draft: true },
            subject: '초안',
            from: [{ name: '봉투', email: 'a@example.com' }],
            bodyValues: { body: { value: '본문\n' } },
            textBody: [{ partId: 'body', type: 'text/plain' }],
        },
    },
});
const [found] = await jam.api.Email.get({
    accountId, ids: [draft.created.draft.id], properties: ['subject', 'from', 'bodyValues'], fetchTextBodyValues: true,
});
seen.draft = [found.list[0].subject, found.list[0].from[0].name, Object.values(found.list[0].bodyValues)[0].value];

const refused = async (call) => {
    try {
        await call();
        return null;
    } catch (error) {
        return error.type;
    }
};
seen.errors = [
    await refused(() => jam.api.Email.get({ accountId: 'nobody', ids: [] })),
    await refused(() => jam.api.Email.get({ accountId, ids: [] }, { using: ['https://nothing.example'] })),
    await refused(() => jam.api.Mailbox.set({ accountId, ifInState: 'nonsense', create: {} })),
];
const [gone] = await jam.api.Mailbox.set({ accountId, destroy: [travel], onDestroyRemoveEmails: true });
seen.destroyed = gone.destroyed.includes(travel);
console.log(JSON.stringify(seen));
