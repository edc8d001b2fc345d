//! Logs of services for callers of the API: a ticket, a page, or events for as long as the caller listens.
//!
//! Invariants:
//! * Nobody's reading keeps the machine awake, holds a service up, or makes memory grow: whoever is slower than a log
//!   misses lines, and is told so.
//! * Reading for a page happens beside everything else, and ends in time.
//! * Those who follow are told why it ends when access changes or the machine sleeps.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, StatusCode};
use snapvm_protocol::exec::{EVENT_STREAM, Interruption, event};
use snapvm_protocol::headers::ACCOUNT;
use snapvm_protocol::logs::{Cursor, LogBatch, LogEnd, LogsRequest, READERS_MAX, REQUEST_MAX, decode};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::admission::Wants;
use crate::agent::Agent;
use crate::callers;
use crate::http::guarded::Peer;
use crate::http::{Body, BodyError, marked, said};
use crate::ingress::connections::Tag;
use crate::services::log::Log;
use crate::services::log::reader::{self, Needle, Wanted};

/// How long a request's body may take.
const BODY: Duration = Duration::from_secs(10);
/// How long the reading of a page may take.
const SEARCH: Duration = Duration::from_secs(2);
/// Between two looks at a log that changes all the time.
const PAUSE: Duration = Duration::from_millis(100);
/// Pieces on their way to a follower.
const PIECES: usize = 4;

/// Those who read.
#[derive(Default)]
pub struct Readers(Rc<Cell<usize>>);

/// A reader's place.
struct Place(Rc<Cell<usize>>);

impl Readers {
    fn enter(&self) -> Option<Place> {
        let readers = self.0.get();
        (readers < READERS_MAX).then(|| {
            self.0.set(readers + 1);
            Place(Rc::clone(&self.0))
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

/// Answers a request for a log.
pub async fn answer(agent: &Rc<Agent>, request: Request<Incoming>, peer: &Peer) -> Response<Body> {
    let epoch = match callers::admit(agent, &request, Wants::Log) {
        Ok(epoch) => epoch,
        Err(refused) => return said(refused.status(), &refused.to_string()),
    };
    let account = request.headers().get(ACCOUNT).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let body = timeout(BODY, Limited::new(request.into_body(), REQUEST_MAX).collect()).await;
    let Ok(Ok(body)) = body else { return said(StatusCode::BAD_REQUEST, "the request broke off, or is too long") };
    let wanted = match decode(&body.to_bytes()) {
        Ok(wanted) => wanted,
        Err(error) => return said(StatusCode::BAD_REQUEST, &error),
    };
    let Some(place) = agent.readers.enter() else {
        return said(StatusCode::TOO_MANY_REQUESTS, "too many read logs at once");
    };
    let log = agent.services.log(agent, &wanted.service);
    if wanted.follow {
        let tag = agent.connections.open(epoch, account);
        return typed(follow(agent, log, wanted, tag, peer.clone(), place), EVENT_STREAM);
    }
    let (files, wanted) = (log.read(), needed(&wanted));
    let page = tokio::task::spawn_blocking(move || reader::page(files, &wanted, Instant::now() + SEARCH)).await;
    match page.map(|page| serde_json::to_vec(&page)) {
        Ok(Ok(bytes)) => with_type(marked(StatusCode::OK, Bytes::from(bytes)), "application/json"),
        _ => said(StatusCode::SERVICE_UNAVAILABLE, "the log could not be read"),
    }
}

fn needed(request: &LogsRequest) -> Wanted {
    Wanted { lines: request.lines as usize, before: request.before, search: request.search.as_deref().map(Needle::new) }
}

fn typed(body: Body, media_type: &'static str) -> Response<Body> {
    with_type(marked(StatusCode::OK, Bytes::new()).map(|_| body), media_type)
}

fn with_type(mut response: Response<Body>, media_type: &'static str) -> Response<Body> {
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// Sends what comes, until somebody or something ends it.
fn follow(agent: &Rc<Agent>, log: Rc<Log>, request: LogsRequest, tag: Tag, peer: Peer, place: Place) -> Body {
    let (pieces, receiver) = mpsc::channel(PIECES);
    let follower =
        Follower { agent: Rc::clone(agent), log, pieces, search: request.search.as_deref().map(Needle::new) };
    tokio::task::spawn_local(async move {
        let ended = tokio::select! {
            () = follower.run(&request) => None,
            () = follower.pieces.closed() => None,
            () = peer.gone() => None,
            () = tag.closed.cancelled() => Some(()),
        };
        if ended.is_some() {
            let asleep = follower.agent.phase.borrow().is_asleep();
            let reason = if asleep { Interruption::MachineSleeping } else { Interruption::AccessChanged };
            // Whoever takes nothing now does not wait for this either.
            if let Ok(text) = event("end", &LogEnd { reason }) {
                let _ = follower.pieces.try_send(Bytes::from(text));
            }
        }
        drop((tag, place));
    });
    Box::pin(Pieces(receiver))
}

struct Follower {
    agent: Rc<Agent>,
    log: Rc<Log>,
    pieces: mpsc::Sender<Bytes>,
    search: Option<Needle>,
}

impl Follower {
    /// Ends when nobody takes what it sends.
    async fn run(&self, request: &LogsRequest) {
        let mut changes = self.log.changes();
        let (mut place, mut partial) = match request.after {
            Some(after) => (after, None),
            None => match self.newest(request).await {
                Some(begun) => begun,
                None => return,
            },
        };
        let alive = self.agent.timings.keepalive();
        loop {
            changes.mark_unchanged();
            let (batch, is_all) = reader::batch(self.log.read(), place, self.search.as_ref());
            place = batch.newest;
            let is_news = batch.skipped || !batch.lines.is_empty() || batch.partial != partial;
            partial.clone_from(&batch.partial);
            if is_news && !self.send(&batch).await {
                return;
            }
            if is_all {
                tokio::select! {
                    news = changes.changed() => if news.is_err() { return },
                    () = sleep(alive) => {
                        let _ = self.pieces.try_send(Bytes::from_static(b": alive\n\n"));
                        continue;
                    }
                }
            }
            // One event for what comes together.
            sleep(PAUSE).await;
        }
    }

    /// Begins with the newest page: where it ends, and what had not ended there.
    async fn newest(&self, request: &LogsRequest) -> Option<(Cursor, Option<snapvm_protocol::logs::LogLine>)> {
        let (files, wanted) = (self.log.read(), needed(request));
        let page =
            tokio::task::spawn_blocking(move || reader::page(files, &wanted, Instant::now() + SEARCH)).await.ok()?;
        let newest = page.newest?;
        let batch = LogBatch { skipped: false, lines: page.lines, partial: page.partial.clone(), newest };
        self.send(&batch).await.then_some((newest, page.partial))
    }

    async fn send(&self, batch: &LogBatch) -> bool {
        let Ok(text) = event("lines", batch) else { return false };
        self.pieces.send(Bytes::from(text)).await.is_ok()
    }
}

/// A body that comes in pieces.
struct Pieces(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.get_mut().0.poll_recv(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}
