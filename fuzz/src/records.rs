//! Rows as another release may have written them, or a disk may have changed them: refused or read, never a panic.

use std::sync::Arc;

use bytes::BytesMut;
use conversation::{Conversation, Step};
use directory::sasl::ChannelBindings;
use imap::{Config, Peer, Services, Session};
use mail::Metadata;
use mail::ingest::Section;
use mail::ingest::recipe::{Recipe, Step as Piece};
use store::kv::{Error, Range};

use crate::world::{PASSWORD, PEER, World, block_on};

/// A record of a message's content.
pub fn metadata(bytes: &[u8]) {
    let Ok(record) = Metadata::from_bytes(bytes) else { return };
    assert_eq!(Metadata::from_bytes(&record.to_bytes()).as_ref().ok(), Some(&record));
    let tree = &record.structure;
    for index in 0..tree.0.len() {
        tree.children(index).count();
        tree.subtree(index);
        tree.parent(index);
    }
    for section in ["", "HEADER", "TEXT", "1", "1.MIME", "1.1.HEADER", "2.3.TEXT"] {
        Section::parse(section).and_then(|section| tree.section(&section));
    }
    record.header.select(&["from", "subject"]);
    record.subject();
    record.addresses("to", 10);
    record.message_ids("references");
    tree.attachment_names();
    tree.bodies();
}

/// How a message is put together from its pieces.
pub fn recipe(bytes: &[u8]) {
    let Ok(recipe) = minicbor::decode::<Recipe>(bytes) else { return };
    if !recipe.is_sound() {
        return;
    }
    let size = recipe.size;
    let literal: u64 = recipe.literals().map(|range| range.end - range.start).sum();
    let cut: u64 = recipe.cuts.iter().map(|cut| cut.encoded_len()).sum();
    assert_eq!(literal + cut, size);
    let (end, begin) = (3, 5);
    for range in [0..u64::MAX, 0..1, size / 2..size, size.saturating_sub(1)..size, begin..end] {
        for step in recipe.steps(range) {
            if let Piece::Attachment { mut encoder, plain, .. } = step {
                let mut out = Vec::new();
                let len = plain.end.saturating_sub(plain.start).min(1000);
                encoder.push(&vec![7; usize::try_from(len).unwrap()], &mut out);
                encoder.finish(&mut out);
            }
        }
    }
    recipe.cut_in(0..size);
}

/// What a client asks that reads every kind of row, and changes some.
const QUESTIONS: &[u8] = b"a SELECT INBOX\r\nb FETCH 1:* (FLAGS UID INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE \
    BODY.PEEK[] BODY.PEEK[1]<3.9>)\r\nc SEARCH OR TEXT inside SUBJECT one\r\nd LIST \"\" *\r\ne STATUS Work (MESSAGES \
    UIDNEXT UNSEEN)\r\nf STORE 1 +FLAGS (\\Flagged)\r\ng COPY 1:2 Work\r\nh MOVE 2 Work/2026\r\ni EXPUNGE\r\nj RENAME \
    Work Play\r\nk DELETE Play/2026\r\nl APPEND INBOX {1+}\r\nx\r\nm LOGOUT\r\n";

/// A server some of whose rows have changed: three bytes each say which row, where in it, and to what.
pub fn damaged_rows(damages: &[u8]) {
    block_on(async {
        let world = World::new();
        let rows = world.kv.read().await.unwrap().range(Range::prefix(b"")).all().await.unwrap();
        for damage in damages.as_chunks::<3>().0.iter().take(4) {
            let (key, value) = &rows[usize::from(damage[0]) % rows.len()];
            let mut value = value.to_vec();
            if let Some(last) = value.len().checked_sub(1) {
                value[usize::from(damage[1]).min(last)] = damage[2];
            }
            let value = &value;
            world
                .kv
                .run::<_, Error, _, _>(|tx| async move { tx.set(key.clone(), value.clone()) })
                .await
                .unwrap();
        }
        let _answered_or_refused = world.mail.verify(world.alice).await;
        ask(&world).await;
    });
}

async fn ask(world: &World) {
    let services =
        Services { mail: world.mail.clone(), directory: world.directory.clone(), clock: world.clock.clone() };
    let mut session = Session::new(
        Arc::new(Config::default()),
        services,
        Peer { address: PEER, tls: Some(ChannelBindings::NONE) },
    );
    let mut input = BytesMut::from(format!("in LOGIN alice \"{PASSWORD}\"\r\n").as_bytes());
    input.extend_from_slice(QUESTIONS);
    while let Step::Send(_) = session.advance(&mut input).await {}
}
