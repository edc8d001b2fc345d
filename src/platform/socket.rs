//! A TCP connection of the Workers runtime, as `tokio-postgres` wants one.
//!
//! The `worker` crate has such a type. It takes the stream's reader and its writer anew for every read and every
//! write, and each time it gives one back the runtime makes an exception with a stack trace for whoever might wait;
//! that and the collection of all these objects were a third of what listing machines cost. Here both are taken once
//! for the connection's life.
//!
//! Invariants: at most one read and one write are under way; bytes are given in order.
//!
//! Absent on purpose: TLS, which Hyperdrive does on its side; waiting in `flush`: the runtime sends what it was given, in
//! order, and a failure shows where the answer is awaited.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use js_sys::{Object, Reflect, Uint8Array};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast as _, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{ReadableStreamDefaultReader, WritableStreamDefaultWriter};

#[wasm_bindgen]
extern "C" {
    /// What a read brings.
    type Chunk;
    #[wasm_bindgen(method, getter)]
    fn done(this: &Chunk) -> bool;
    #[wasm_bindgen(method, getter)]
    fn value(this: &Chunk) -> Option<Uint8Array>;
}

/// The connection. It is closed when dropped.
#[derive(Debug)]
pub struct Socket {
    inner: worker_sys::Socket,
    reader: ReadableStreamDefaultReader,
    writer: WritableStreamDefaultWriter,
    reading: Option<JsFuture>,
    writing: Option<JsFuture>,
    /// What was read and not yet taken.
    rest: Option<Uint8Array>,
}

impl Socket {
    /// Connects, without encryption; whether it worked shows at the first read or write.
    ///
    /// # Errors
    /// When the runtime refuses the address.
    pub fn connect(host: &str, port: u16) -> io::Result<Self> {
        let connect = || {
            let socket = worker_sys::connect(format!("{host}:{port}").into(), Object::new().into())?;
            let reader = socket.readable()?.get_reader().dyn_into()?;
            let writer = socket.writable()?.get_writer()?;
            Ok(Self { inner: socket, reader, writer, reading: None, writing: None, rest: None })
        };
        connect().map_err(|error: JsValue| failed(&error))
    }

    /// Moves what fits from `rest` to `room`.
    fn take(&mut self, chunk: Uint8Array, room: &mut ReadBuf<'_>) {
        let length = u32::try_from(room.remaining()).unwrap_or(u32::MAX).min(chunk.length());
        let target = room.initialize_unfilled_to(usize::try_from(length).unwrap_or_default());
        if length == chunk.length() {
            chunk.copy_to(target);
        } else {
            chunk.subarray(0, length).copy_to(target);
            self.rest = Some(chunk.subarray(length, chunk.length()));
        }
        room.advance(usize::try_from(length).unwrap_or_default());
    }

    /// Whether the last write is through.
    fn poll_written(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(writing) = self.writing.as_mut() {
            let written = ready!(Pin::new(writing).poll(context));
            self.writing = None;
            written.map_err(|error| failed(&error))?;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if room.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let this = &mut *self;
        if let Some(rest) = this.rest.take() {
            this.take(rest, room);
            return Poll::Ready(Ok(()));
        }
        let reader = &this.reader;
        let reading = this.reading.get_or_insert_with(|| JsFuture::from(reader.read()));
        let read = ready!(Pin::new(reading).poll(context));
        this.reading = None;
        let chunk: Chunk = read.map_err(|error| failed(&error))?.unchecked_into();
        if !chunk.done()
            && let Some(bytes) = chunk.value()
        {
            this.take(bytes, room);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_written(context))?;
        let chunk = Uint8Array::from(bytes);
        self.writing = Some(JsFuture::from(self.writer.write_with_chunk(&chunk)));
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The last words must be out before the connection goes.
        self.poll_written(context)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Nobody waits for it, and a connection that is broken needs no closing.
        if let Ok(closed) = self.inner.close() {
            drop(JsFuture::from(closed));
        }
    }
}

fn failed(error: &JsValue) -> io::Error {
    let message = Reflect::get(error, &"message".into()).ok().and_then(|message| message.as_string());
    io::Error::other(message.unwrap_or_else(|| "the connection failed".into()))
}
