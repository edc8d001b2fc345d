//! Reading a log's files: a page backwards from a place, or what came since one.
//!
//! Invariants:
//! * A line is given whole or not at all; only the last one of the written file may be one that has not ended.
//! * What is read, kept and given is bounded, whatever the files hold; a search ends when its time is over, and says
//!   where to go on.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::time::Instant;

use snapvm_protocol::logs::{Cursor, LogBatch, LogLine, LogPage, TEXT_MAX};

use super::files::Opened;
use super::line::parse;

/// Most bytes of one file that are looked at: only what somebody else has put there is longer.
const FILE_MAX: u64 = 16 * 1024 * 1024;
/// Bytes read at once for those who follow.
const BATCH: u64 = 256 * 1024;
/// Lines between two looks at the time.
const LOOK: usize = 512;

/// What of a log is wanted.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Most lines.
    pub lines: usize,
    /// Only what is before this place.
    pub before: Option<Cursor>,
    /// Only lines with this in them, whatever the case of its letters.
    pub search: Option<Needle>,
}

/// A text to search for.
#[derive(Debug, Clone)]
pub struct Needle(String);

impl Needle {
    /// Of this text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_lowercase())
    }

    fn is_in(&self, line: &LogLine) -> bool {
        if self.0.is_ascii() {
            let (text, needle) = (line.text.as_bytes(), self.0.as_bytes());
            return needle.is_empty() || text.windows(needle.len()).any(|part| part.eq_ignore_ascii_case(needle));
        }
        line.text.to_lowercase().contains(&self.0)
    }
}

fn is_meant(search: Option<&Needle>, line: &LogLine) -> bool {
    search.is_none_or(|needle| needle.is_in(line))
}

/// The lines before a place, or the newest.
#[must_use]
pub fn page(files: Vec<Opened>, wanted: &Wanted, deadline: Instant) -> LogPage {
    let mut page = LogPage::default();
    let mut text = 0;
    let Some((oldest, newest)) = files.first().zip(files.last()).map(|(first, last)| (first.number, last.number))
    else {
        if wanted.before.is_none() {
            page.newest = Some(Cursor { file: 1, offset: 0 });
        }
        return page;
    };
    'files: for mut opened in files.into_iter().rev() {
        let end = match wanted.before {
            Some(before) if before.file < opened.number => continue,
            Some(before) if before.file == opened.number => before.offset.min(opened.length),
            _ => opened.length,
        };
        let start = end.saturating_sub(FILE_MAX);
        let bytes = read(&mut opened, start, end - start);
        // What is behind the last line break has not ended, or is the rest of a line that began before the place.
        let whole = memchr::memrchr(b'\n', &bytes).map_or(0, |at| at + 1);
        let (whole, partial) = bytes.split_at(whole);
        if wanted.before.is_none() && opened.number == newest {
            page.newest = Some(Cursor { file: newest, offset: start + whole.len() as u64 });
            page.partial = some_line(partial).filter(|line| is_meant(wanted.search.as_ref(), line));
        }
        let mut rest = whole;
        let mut looked = 0_usize;
        while let Some(content) = rest.strip_suffix(b"\n") {
            let begin = memchr::memrchr(b'\n', content).map_or(0, |at| at + 1);
            if begin == 0 && start > 0 {
                // The beginning of this line is beyond what is looked at.
                break;
            }
            looked += 1;
            let late = looked.is_multiple_of(LOOK) && Instant::now() >= deadline;
            if page.lines.len() >= wanted.lines || text >= TEXT_MAX || late {
                page.older = Some(Cursor { file: opened.number, offset: start + rest.len() as u64 });
                break 'files;
            }
            let line = parse(content.get(begin..).unwrap_or_default());
            if is_meant(wanted.search.as_ref(), &line) {
                text += line.text.len();
                page.lines.push(line);
            }
            rest = rest.get(..begin).unwrap_or_default();
        }
        if page.lines.len() >= wanted.lines && opened.number > oldest {
            page.older = Some(Cursor { file: opened.number, offset: 0 });
            break;
        }
    }
    page.lines.reverse();
    page
}

/// What came since a place, and whether that is all there is now.
#[must_use]
pub fn batch(files: Vec<Opened>, after: Cursor, search: Option<&Needle>) -> (LogBatch, bool) {
    let mut batch = LogBatch { skipped: false, lines: Vec::new(), partial: None, newest: after };
    let Some((oldest, newest)) = files.first().zip(files.last()).map(|(first, last)| (first.number, last.number))
    else {
        return (batch, true);
    };
    // A place that no file has: its lines are gone, or its log was removed and began anew.
    if after.file < oldest || after.file > newest {
        batch.skipped = after.file < oldest;
        batch.newest = Cursor { file: oldest, offset: 0 };
    }
    let mut left = BATCH;
    for mut opened in files {
        let place = &mut batch.newest;
        if opened.number < place.file {
            continue;
        }
        if opened.number > place.file {
            *place = Cursor { file: opened.number, offset: 0 };
        }
        // A file that became shorter was cut by somebody, and begins anew.
        place.offset = if place.offset > opened.length { 0 } else { place.offset };
        let length = (opened.length - place.offset).min(left);
        let bytes = read(&mut opened, place.offset, length);
        let is_rest = place.offset + bytes.len() as u64 >= opened.length;
        let mut whole = memchr::memrchr(b'\n', &bytes).map_or(0, |at| at + 1);
        if whole == 0 && bytes.len() as u64 == BATCH || opened.number < newest && is_rest {
            // It will never end: nobody writes such lines but somebody else.
            whole = bytes.len();
        }
        let (lines, partial) = bytes.split_at(whole);
        let lines =
            lines.split_inclusive(|byte| *byte == b'\n').map(|line| parse(line.strip_suffix(b"\n").unwrap_or(line)));
        batch.lines.extend(lines.filter(|line| is_meant(search, line)));
        place.offset += whole as u64;
        left = left.saturating_sub(bytes.len() as u64);
        if !is_rest {
            return (batch, false);
        }
        if opened.number == newest {
            batch.partial = some_line(partial).filter(|line| is_meant(search, line));
        }
    }
    (batch, true)
}

fn some_line(bytes: &[u8]) -> Option<LogLine> {
    (!bytes.is_empty()).then(|| parse(bytes))
}

/// As much as there is: a file may have become shorter.
fn read(opened: &mut Opened, from: u64, length: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if opened.file.seek(SeekFrom::Start(from)).is_ok() {
        // What could be read counts, also when the rest could not.
        let _ = (&opened.file).take(length).read_to_end(&mut bytes);
    }
    bytes
}

#[cfg(test)]
mod tests;
