//! The server's side of the admin socket.

use bytes::Bytes;
use tokio::io::BufReader;
use tokio::net::{UnixListener, UnixStream};

use super::frame::{self, Answer, FrameError, Request, VERSION};
use super::{Operation, operation, socket};
use crate::data_dir::DataDir;
use crate::net::Lifecycle;
use crate::node::Node;
use crate::problem::{Kind, Problem};

/// Takes requests from the command line.
pub(crate) struct Counter {
    listener: UnixListener,
    path: std::path::PathBuf,
}

impl Counter {
    /// Opens the socket of a data directory whose stores this process has open.
    pub(crate) fn open(data: &DataDir) -> Result<Self, Problem> {
        let path = data.admin_socket();
        let listener = socket::bind(data).map_err(|error| {
            Problem::unavailable(format!("cannot make the admin socket {}: {error}", path.display()))
        })?;
        Ok(Self { listener, path })
    }

    /// Serves requests until the server stops.
    pub(crate) fn run(self, node: Node, lifecycle: &Lifecycle) {
        let tasks = lifecycle.clone();
        lifecycle.spawn(async move {
            loop {
                let accepted = tokio::select! {
                    () = tasks.stopping() => break,
                    accepted = self.listener.accept() => accepted,
                };
                match accepted {
                    Ok((stream, _)) => {
                        let (node, lifecycle) = (node.clone(), tasks.clone());
                        tasks.spawn(async move {
                            if let Err(error) = serve(stream, &node, &lifecycle).await {
                                tracing::warn!(%error, "an admin connection ended");
                            }
                        });
                    }
                    Err(error) => {
                        tracing::error!(%error, "the admin socket cannot accept connections any more");
                        break;
                    }
                }
            }
            let _already_gone = std::fs::remove_file(&self.path);
        });
    }
}

async fn serve(stream: UnixStream, node: &Node, lifecycle: &Lifecycle) -> Result<(), FrameError> {
    let (from, mut to) = stream.into_split();
    let mut from = BufReader::new(from);
    loop {
        let request = tokio::select! {
            () = lifecycle.stopping() => return Ok(()),
            request = frame::read::<Request>(&mut from) => request?,
        };
        let Some(request) = request else { return Ok(()) };
        let payload = frame::read_payload(&mut from, request.payload).await?;
        let answer = match answer(request, payload, node).await {
            Ok(done) => Answer::Done(done),
            Err(problem) => Answer::Failed(problem),
        };
        frame::write(&mut to, &answer, &[]).await?;
    }
}

async fn answer(request: Request, payload: Bytes, node: &Node) -> Result<serde_json::Value, Problem> {
    if request.version != VERSION {
        let message = format!(
            "the server speaks version {VERSION} of the admin protocol, and this command version {}: use the \
             magpie program that the server was started with",
            request.version
        );
        return Err(Problem::new(Kind::Version, message));
    }
    operation::dispatch(&request.operation, request.arguments, payload, node).await
}

/// Runs one operation whose arguments came over the wire.
pub(super) async fn run<O: Operation>(
    arguments: serde_json::Value,
    payload: Bytes,
    node: &Node,
) -> Result<serde_json::Value, Problem> {
    let operation: O = serde_json::from_value(arguments).map_err(|error| {
        Problem::new(Kind::Version, format!("the arguments of {} cannot be understood: {error}", O::NAME))
    })?;
    let answer = operation.run(node, payload).await?;
    serde_json::to_value(answer).map_err(|error| Problem::new(Kind::Internal, error.to_string()))
}
