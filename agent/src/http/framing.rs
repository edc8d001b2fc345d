//! Where one HTTP/1.1 request ends and the next begins (pure), by the strict reading only.
//!
//! Requests reach the agent through two edges. A head that two programs could read differently lets one request hide
//! in another, so such a head is not interpreted at all: it is refused, and nothing after it is read.
//!
//! ```text
//! Head ──\r\n\r\n, accepted──▶ Length(n) or Chunk…──▶ Head        upgrade ──▶ Opaque        anything odd ──▶ Refused
//! ```
//!
//! Refused: a line that ends without CR, a folded line, control characters, more than one Content-Length or Host,
//! Content-Length beside Transfer-Encoding, a transfer coding other than exactly `chunked`, HTTP versions other than
//! 1.1, and more than 32 KiB of head.

/// Longest head.
pub const HEAD_MAX: usize = 32 * 1024;
/// Longest chunk-size line; extensions are not wanted.
const CHUNK_LINE_MAX: usize = 64;

/// Why a head is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// 400.
    Malformed,
    /// 431.
    TooLarge,
}

/// What is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Head,
    Length(u64),
    ChunkLine,
    Chunk(u64),
    ChunkEnd,
    Trailer,
    Opaque,
}

/// Follows a connection's requests.
#[derive(Debug)]
pub struct Framing {
    reading: Reading,
    /// Bytes of the head, or of the line, that is not complete yet.
    partial: Vec<u8>,
}

/// What to do with bytes that were read.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Pass this many on: they belong to a body, or to an upgraded connection.
    Pass(usize),
    /// This many were taken; the head is not complete.
    Hold(usize),
    /// This many were taken; the head is complete and is to be passed on.
    Head(usize, Vec<u8>),
    /// Nothing more may be read.
    Refuse(Refusal),
}

impl Default for Framing {
    fn default() -> Self {
        Self { reading: Reading::Head, partial: Vec::new() }
    }
}

impl Framing {
    /// Looks at bytes in the order they came. To be called until all are taken.
    pub fn step(&mut self, bytes: &[u8]) -> Step {
        match self.reading {
            Reading::Opaque => Step::Pass(bytes.len()),
            Reading::Head => self.head(bytes),
            Reading::Length(left) => {
                let length = passes(bytes, left);
                let left = left.saturating_sub(wide(length));
                self.reading = if left == 0 { Reading::Head } else { Reading::Length(left) };
                Step::Pass(length)
            }
            Reading::Chunk(left) => {
                let length = passes(bytes, left);
                let left = left.saturating_sub(wide(length));
                self.reading = if left == 0 { Reading::ChunkEnd } else { Reading::Chunk(left) };
                Step::Pass(length)
            }
            Reading::ChunkLine | Reading::ChunkEnd | Reading::Trailer => self.line(bytes),
        }
    }

    /// Whether what was refused was a head, so that an answer to it can be told from the answer to a request whose
    /// body broke.
    #[must_use]
    pub fn is_between_requests(&self) -> bool {
        self.reading == Reading::Head
    }

    fn head(&mut self, bytes: &[u8]) -> Step {
        // An empty line before a request is allowed by the RFC and sent by nobody.
        let from = self.partial.len().saturating_sub(3);
        let room = HEAD_MAX.saturating_sub(self.partial.len());
        let taken = bytes.get(..room).unwrap_or(bytes);
        let before = self.partial.len();
        self.partial.extend_from_slice(taken);
        let found = self.partial.get(from..).and_then(|tail| tail.windows(4).position(|four| four == b"\r\n\r\n"));
        let Some(position) = found else {
            if self.partial.len() >= HEAD_MAX {
                return Step::Refuse(Refusal::TooLarge);
            }
            return Step::Hold(taken.len());
        };
        let length = from + position + 4;
        self.partial.truncate(length);
        let head = std::mem::take(&mut self.partial);
        match examine(&head) {
            Some(reading) => {
                self.reading = reading;
                Step::Head(length.saturating_sub(before), head)
            }
            None => Step::Refuse(Refusal::Malformed),
        }
    }

    /// A line of the chunked coding: passed on whole, once it is known to be sound.
    fn line(&mut self, bytes: &[u8]) -> Step {
        let end = bytes.iter().position(|byte| *byte == b'\n').map(|position| position + 1);
        let taken = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or(bytes);
        self.partial.extend_from_slice(taken);
        let limit = if self.reading == Reading::Trailer { HEAD_MAX } else { CHUNK_LINE_MAX };
        if self.partial.len() > limit {
            return Step::Refuse(Refusal::Malformed);
        }
        if end.is_none() {
            return Step::Hold(taken.len());
        }
        let line = std::mem::take(&mut self.partial);
        let Some(text) = line.strip_suffix(b"\r\n") else { return Step::Refuse(Refusal::Malformed) };
        let next = match self.reading {
            Reading::ChunkLine => chunk_size(text).map(|size| match size {
                0 => Reading::Trailer,
                size => Reading::Chunk(size),
            }),
            Reading::ChunkEnd => text.is_empty().then_some(Reading::ChunkLine),
            _ if text.is_empty() => Some(Reading::Head),
            _ => is_field(text).then_some(Reading::Trailer),
        };
        match next {
            Some(next) => {
                self.reading = next;
                Step::Head(taken.len(), line)
            }
            None => Step::Refuse(Refusal::Malformed),
        }
    }
}

/// How the body of a request with this head is framed; `None` when the head is refused.
fn examine(head: &[u8]) -> Option<Reading> {
    let text = head.strip_suffix(b"\r\n\r\n")?;
    let mut lines = text.split(|byte| *byte == b'\n');
    let request = sound_line(lines.next()?, text.contains(&b'\n'))?;
    let mut words = request.split(|byte| *byte == b' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    if method.is_empty() || target.is_empty() || version != b"HTTP/1.1" || words.next().is_some() {
        return None;
    }
    let (mut length, mut chunked, mut host, mut upgrade) = (None, false, false, method == b"CONNECT");
    let mut lines = lines.peekable();
    while let Some(line) = lines.next() {
        let line = sound_line(line, lines.peek().is_some())?;
        if !is_field(line) {
            return None;
        }
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = (line.get(..colon)?, line.get(colon + 1..)?.trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            let digits =
                std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
            if length.replace(digits.parse::<u64>().ok()?).is_some() {
                return None;
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return None;
            }
            chunked = true;
        } else if name.eq_ignore_ascii_case(b"host") {
            if std::mem::replace(&mut host, true) {
                return None;
            }
        } else if name.eq_ignore_ascii_case(b"upgrade") {
            upgrade = true;
        }
    }
    match (length, chunked, upgrade) {
        // Two lengths; or a body before an upgrade, which is asking for confusion.
        (Some(_), true, _) | (Some(1..), _, true) | (_, true, true) => None,
        (_, _, true) => Some(Reading::Opaque),
        (_, true, _) => Some(Reading::ChunkLine),
        (Some(length @ 1..), ..) => Some(Reading::Length(length)),
        (Some(0) | None, ..) => Some(Reading::Head),
    }
}

/// The line without its CR, if it has one where it must and no other control characters.
fn sound_line(line: &[u8], ended_by_newline: bool) -> Option<&[u8]> {
    let line = if ended_by_newline { line.strip_suffix(b"\r")? } else { line };
    line.iter().all(|byte| *byte == b'\t' || !byte.is_ascii_control()).then_some(line)
}

/// `name: value`, with a name of token characters right before the colon; so no folded line either.
fn is_field(line: &[u8]) -> bool {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let colon = line.iter().position(|byte| *byte == b':');
    colon.and_then(|colon| line.get(..colon)).is_some_and(|name| !name.is_empty() && name.iter().all(is_token))
}

fn chunk_size(text: &[u8]) -> Option<u64> {
    let is_sound = (1..=16).contains(&text.len()) && text.iter().all(u8::is_ascii_hexdigit);
    let text = std::str::from_utf8(text).ok().filter(|_| is_sound)?;
    u64::from_str_radix(text, 16).ok().filter(|size| *size <= i64::MAX.unsigned_abs())
}

fn passes(bytes: &[u8], left: u64) -> usize {
    usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()))
}

fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
