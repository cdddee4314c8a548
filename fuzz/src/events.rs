//! How bytes become what two clients of one account do: most are what the first one sends, a few are orders.
//!
//! The highest byte values are in no text and no transcript, so that they can stand for what is not sent: the client
//! that speaks next, a cut between two packets, the clock, the operator.

use conversation::Conversation;
use futures::FutureExt;
use stage::Client;

/// What happens next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event<'a> {
    /// The client sends this in one packet.
    Says(&'a [u8]),
    /// From here on the other client speaks.
    Switch,
    /// The session looks for news.
    News,
    /// The client has been silent for too long.
    TimedOut,
    /// The server stops.
    Shutdown,
    /// An hour goes by.
    Hour,
}

impl Event<'_> {
    /// Lets it happen to a client, unless it is of the world around it.
    pub async fn happen<C: Conversation>(self, client: &mut Client<C>) {
        match self {
            Event::Says(bytes) => return client.send(bytes).await,
            Event::News => {
                client.session.changed().now_or_never();
            }
            Event::TimedOut => client.session.timed_out(),
            Event::Shutdown => client.session.shutdown(),
            Event::Switch | Event::Hour => {}
        }
        client.serve().await;
    }
}

const CUT: u8 = 0xff;
const SWITCH: u8 = 0xfe;
const NEWS: u8 = 0xfd;
const TIMED_OUT: u8 = 0xfc;
const SHUTDOWN: u8 = 0xfb;
const HOUR: u8 = 0xfa;

/// What `data` stands for.
pub fn events(data: &[u8]) -> impl Iterator<Item = Event<'_>> {
    let packets = data.split_inclusive(|byte| *byte >= HOUR);
    packets.flat_map(|packet| {
        let (said, order) = match packet.split_last() {
            Some((last, said)) if *last >= HOUR => (said, Some(*last)),
            _ => (packet, None),
        };
        let order = order.filter(|order| *order != CUT).map(|order| match order {
            SWITCH => Event::Switch,
            NEWS => Event::News,
            TIMED_OUT => Event::TimedOut,
            SHUTDOWN => Event::Shutdown,
            _ => Event::Hour,
        });
        (!said.is_empty()).then_some(Event::Says(said)).into_iter().chain(order)
    })
}
