//! JMAP for the routes of HTTP: what the one crate asks, in the words of the other.

use std::io;

use bytes::Bytes;
use directory::Authenticated;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, stream};
use http_api::{
    Change, Download, EventQuestion, Heard, JmapService, PollQuestion, Refused, ServerEvent, Upload,
};
use jmap::{DownloadStream, Event, EventRequest, Jmap, Message, PollRequest, Problem, TransferError, User};

/// JMAP, as HTTP asks for it.
pub(crate) struct JmapDriver(pub(crate) Jmap);

impl JmapService for JmapDriver {
    fn session(&self, user: &Authenticated, base: &str) -> Bytes {
        self.0.session(&User::new(user), base)
    }

    fn request<'s>(
        &'s self,
        user: &'s Authenticated,
        request: Bytes,
    ) -> BoxFuture<'s, Result<Bytes, Refused>> {
        async move { self.0.request(&User::new(user), &request).await.map_err(|problem| refused(&problem)) }
            .boxed()
    }

    fn upload(
        &self,
        user: &Authenticated,
        account: &str,
        media_type: &str,
    ) -> Result<Box<dyn Upload>, Refused> {
        let begun = self.0.upload(&User::new(user), account, media_type);
        Ok(Box::new(UploadDriver(begun.map_err(|error| not_transferred(&error))?)))
    }

    fn download<'s>(
        &'s self,
        user: &'s Authenticated,
        account: &'s str,
        blob: &'s str,
    ) -> BoxFuture<'s, Result<Download, Refused>> {
        async move {
            let opened = self.0.download(&User::new(user), account, blob).await;
            let download = opened.map_err(|error| not_transferred(&error))?;
            let size = download.size();
            Ok(Download { size, content: Box::new(move |range| pieces(download.stream(range))) })
        }
        .boxed()
    }

    fn events<'s>(
        &'s self,
        user: &'s Authenticated,
        question: EventQuestion<'s>,
    ) -> BoxFuture<'s, Result<BoxStream<'static, ServerEvent>, Refused>> {
        async move {
            let EventQuestion { types, close_after, ping, last } = question;
            let bad = || Refused { status: 400, problem: BAD_QUESTION.into() };
            let request = EventRequest::read(types, close_after, ping).ok_or_else(bad)?;
            let events = self.0.events(&User::new(user), request, last).await;
            let events = events.map_err(|error| not_transferred(&error))?;
            let events = stream::unfold(events, |mut events| async move {
                let Event { name, id, data } = events.next().await?;
                Some((ServerEvent { name, id, data }, events))
            });
            Ok(events.boxed())
        }
        .boxed()
    }

    fn poll<'s>(
        &'s self,
        user: &'s Authenticated,
        question: PollQuestion<'s>,
        leaving: BoxFuture<'s, ()>,
    ) -> BoxFuture<'s, Result<Bytes, Refused>> {
        async move {
            let PollQuestion { since, types, timeout } = question;
            let bad = || Refused { status: 400, problem: BAD_TIME.into() };
            let request = PollRequest::read(since, types, timeout).ok_or_else(bad)?;
            let told = self.0.poll(&User::new(user), request, leaving).await;
            told.map_err(|error| not_transferred(&error))
        }
        .boxed()
    }

    fn hear(&self, user: &Authenticated, message: &[u8]) -> Heard {
        match self.0.read(message) {
            Ok(Message::Request(id, request)) => {
                let (jmap, user, name) = (self.0.clone(), User::new(user), id.clone());
                let answer = async move { jmap.answer_message(&user, name, request).await };
                Heard::Request(id, answer.boxed())
            }
            Ok(Message::Enable(types, since)) => Heard::Enable(types, since),
            Ok(Message::Disable) => Heard::Disable,
            Err(refusal) => Heard::Refused(refusal.to_json().to_string().into()),
        }
    }

    fn changes<'s>(
        &'s self,
        user: &'s Authenticated,
        types: Option<Vec<String>>,
        since: Option<String>,
    ) -> BoxFuture<'s, Result<BoxStream<'static, Change>, Refused>> {
        async move {
            let changes = self.0.changes(&User::new(user), types, since.as_deref()).await;
            let changes = changes.map_err(|error| not_transferred(&error))?;
            let told = stream::unfold(changes, |mut changes| async move {
                // What went wrong was logged; the client comes back, and goes on from the state that it knows.
                let change = changes.next().await.ok()?;
                Some((Change(change), changes))
            });
            Ok(told.boxed())
        }
        .boxed()
    }
}

/// A file that is being uploaded.
struct UploadDriver(jmap::Upload);

impl Upload for UploadDriver {
    fn write(&mut self, piece: Bytes) -> BoxFuture<'_, Result<(), Refused>> {
        async move { self.0.write(&piece).await.map_err(|error| not_transferred(&error)) }.boxed()
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<Bytes, Refused>> {
        async move { self.0.finish().await.map_err(|error| not_transferred(&error)) }.boxed()
    }
}

/// The octets of a download.
fn pieces(download: DownloadStream) -> BoxStream<'static, io::Result<Bytes>> {
    let pieces = stream::unfold(Some(download), |download| async move {
        let mut download = download?;
        match download.next().await {
            Ok(piece) => Some((Ok(piece?), Some(download))),
            // The connection ends before its time, and the client sees that the file is not whole.
            Err(error) => Some((Err(io::Error::other(error)), None)),
        }
    });
    pieces.boxed()
}

/// A variable of the long-poll that is none.
const BAD_TIME: &str =
    "{\"type\":\"about:blank\",\"status\":400,\"detail\":\"timeout must be a number of seconds\"}";

/// Variables of the event source that are none.
const BAD_QUESTION: &str =
    "{\"type\":\"about:blank\",\"status\":400,\"detail\":\"closeafter must be state or no, ping a number\"}";

fn refused(problem: &Problem) -> Refused {
    Refused { status: problem.status(), problem: problem.to_json().to_string().into() }
}

fn not_transferred(error: &TransferError) -> Refused {
    Refused { status: error.status(), problem: error.to_json().to_string().into() }
}
