//! The command line's side: operations go to the running server, or are done here where none runs.

use bytes::Bytes;
use tokio::io::BufReader;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::frame::{self, Answer, FrameError, Request, VERSION};
use super::{Operation, socket};
use crate::data_dir::DataDir;
use crate::node::Node;
use crate::problem::{Kind, Problem};

/// Where operations are handed in.
pub(crate) enum Desk {
    /// A server runs: it does them.
    Server(Box<Connection>),
    /// No server runs: they are done in this process.
    Here(Box<Node>),
}

/// A connection to the server.
pub(crate) struct Connection {
    from: BufReader<OwnedReadHalf>,
    to: OwnedWriteHalf,
}

impl Desk {
    /// Finds the server of a data directory, or opens the directory itself.
    pub(crate) async fn open(data: &DataDir) -> Result<Self, Problem> {
        data.must_exist()?;
        let connected = socket::connect(data).await.map_err(|error| {
            let path = data.admin_socket();
            Problem::unavailable(format!(
                "cannot reach the running server at {}: {error}; run this as the user that the server runs as",
                path.display()
            ))
        })?;
        match connected {
            Some(stream) => {
                let (from, to) = stream.into_split();
                Ok(Self::Server(Box::new(Connection { from: BufReader::new(from), to })))
            }
            None => {
                data.must_be_ours()?;
                Ok(Self::Here(Box::new(Node::open(data)?)))
            }
        }
    }

    /// Whether a server runs, and does what is asked for.
    pub(crate) const fn has_server(&self) -> bool {
        matches!(self, Self::Server(_))
    }

    /// Has an operation done.
    pub(crate) async fn ask<O: Operation>(&mut self, operation: O) -> Result<O::Answer, Problem> {
        self.ask_with(operation, Bytes::new()).await
    }

    /// Has an operation done that takes bytes along.
    pub(crate) async fn ask_with<O: Operation>(
        &mut self,
        operation: O,
        payload: Bytes,
    ) -> Result<O::Answer, Problem> {
        match self {
            Self::Here(node) => operation.run(node, payload).await,
            Self::Server(connection) => connection.ask(operation, &payload).await.map_err(lost)?,
        }
    }
}

impl Connection {
    async fn ask<O: Operation>(
        &mut self,
        operation: O,
        payload: &[u8],
    ) -> Result<Result<O::Answer, Problem>, FrameError> {
        let arguments = serde_json::to_value(operation)?;
        let request =
            Request { version: VERSION, operation: O::NAME.to_owned(), arguments, payload: payload.len() };
        frame::write(&mut self.to, &request, payload).await?;
        Ok(match frame::read(&mut self.from).await? {
            Some(Answer::Done(answer)) => Ok(serde_json::from_value(answer)?),
            Some(Answer::Failed(problem)) => Err(problem),
            None => return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into()),
        })
    }
}

fn lost(error: FrameError) -> Problem {
    match error {
        FrameError::Io(_) => Problem::unavailable(
            "the connection to the server was lost, and with it the answer: the server may have been stopped; \
             look whether the command was carried out, then try again",
        ),
        other => Problem::new(Kind::Version, format!("the server's answer cannot be understood: {other}")),
    }
}
