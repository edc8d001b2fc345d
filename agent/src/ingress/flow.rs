//! Bytes on their way between visitor and app: watched for activity, cut when their tag is closed.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::connections::Tag;
use crate::agent::Agent;
use crate::http::BodyError;

/// An app's answer.
pub(super) struct Flow {
    body: Incoming,
    agent: Rc<Agent>,
    closed: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Keeps the connection's place for as long as the answer lasts.
    _tag: Tag,
}

impl Flow {
    /// Watches an answer.
    pub(super) fn new(body: Incoming, agent: Rc<Agent>, tag: Tag) -> Self {
        Self { body, agent, closed: Box::pin(tag.closed.clone().cancelled_owned()), _tag: tag }
    }
}

impl Body for Flow {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if this.closed.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(BodyError::Closed)));
        }
        let frame = Pin::new(&mut this.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(_))) = &frame {
            this.agent.activity("request");
        }
        frame.map(|frame| frame.map(|frame| frame.map_err(BodyError::App)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Joins two upgraded connections until either ends or the tag is closed.
pub(super) async fn join(agent: Rc<Agent>, visitor: OnUpgrade, app: OnUpgrade, tag: Tag) {
    let copying = async {
        let (visitor, app) = tokio::try_join!(visitor, app).map_err(io::Error::other)?;
        let mut visitor = Watched { inner: TokioIo::new(visitor), agent: &agent };
        let mut app = Watched { inner: TokioIo::new(app), agent: &agent };
        tokio::io::copy_bidirectional(&mut visitor, &mut app).await
    };
    tokio::select! {
        _ = copying => {}
        () = tag.closed.cancelled() => {}
    }
}

struct Watched<'a, S> {
    inner: S,
    agent: &'a Agent,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<'_, S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.inner).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            this.agent.activity("request");
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<'_, S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}
