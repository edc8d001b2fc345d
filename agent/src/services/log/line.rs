//! Lines of a log's file (pure): `{RFC 3339 time} {text}`, one a line.
//!
//! Invariants:
//! * What was written comes out in order, each line with the time of its first byte; nothing is held back.
//! * No line's text is longer than [`LINE_MAX`], and no second has more than [`RATE`] bytes and the rest of a line:
//!   what comes faster is left out in whole lines, counted, and said in the log itself.

use snapvm_protocol::logs::{LINE_MAX, LogLine};

/// Bytes that a log takes in a second. More of them would only push each other out of its files.
pub const RATE: usize = 4 * 1024 * 1024;
/// Milliseconds of one count.
pub const WINDOW: u64 = 1000;
/// Characters of a time, the space behind it included.
const STAMP: usize = 25;

/// Makes lines of what a service writes.
#[derive(Debug, Default)]
pub struct Lines {
    /// Bytes in the line that has not ended.
    open: Option<usize>,
    /// When the present count began, in milliseconds of any clock that does not go back.
    since: u64,
    counted: usize,
    /// Whether the rest of a line is left out, because its beginning was, or because it is longer than a line may be.
    dropping: bool,
    dropped: Dropped,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Dropped {
    lines: u64,
    bytes: u64,
}

impl Lines {
    /// Ends the last line: what comes next is somebody else's.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        if self.open.take().is_some() {
            out.push(b'\n');
        }
    }

    /// Takes what was written at `now`, which in the log is `stamp`.
    pub fn take(&mut self, mut bytes: &[u8], now: u64, stamp: &str, out: &mut Vec<u8>) {
        if now.saturating_sub(self.since) >= WINDOW {
            (self.since, self.counted) = (now, 0);
        }
        while !bytes.is_empty() {
            let is_full = self.counted >= RATE;
            if let (true, false, Some(length)) = (is_full, self.dropping, self.open) {
                // The line in which the count ended is kept to its end, as far as a line goes.
                let room = LINE_MAX.saturating_sub(length);
                let end = memchr::memchr(b'\n', bytes).filter(|end| *end <= room).map(|end| end + 1);
                let (now, later) = bytes.split_at(end.unwrap_or(room.min(bytes.len())));
                self.write(now, stamp, out);
                self.dropping = end.is_none() && !later.is_empty();
                bytes = later;
                continue;
            }
            if self.dropping || is_full {
                self.end(out);
                let end = memchr::memchr(b'\n', bytes).map(|end| end + 1);
                let (gone, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
                self.dropped.lines += u64::from(end.is_some());
                self.dropped.bytes += gone.len() as u64;
                self.dropping = end.is_none();
                bytes = rest;
                continue;
            }
            self.say_dropped(stamp, out);
            let (now, later) = bytes.split_at(bytes.len().min(RATE - self.counted));
            self.counted += now.len();
            self.write(now, stamp, out);
            bytes = later;
        }
    }

    /// Says what was left out so far, if anything was; to be called when a count is over.
    pub fn say_dropped(&mut self, stamp: &str, out: &mut Vec<u8>) {
        let Dropped { lines, bytes } = std::mem::take(&mut self.dropped);
        if bytes > 0 {
            self.end(out);
            let limit = RATE / 1024 / 1024;
            let said =
                format!("{stamp} snapvm: {lines} lines ({bytes} bytes) left out: more than {limit} MiB in a second\n");
            out.extend_from_slice(said.as_bytes());
        }
    }

    /// Whether [`Lines::say_dropped`] has something to say.
    #[must_use]
    pub fn has_dropped(&self) -> bool {
        self.dropped.bytes > 0
    }

    fn write(&mut self, mut bytes: &[u8], stamp: &str, out: &mut Vec<u8>) {
        while !bytes.is_empty() {
            let length = *self.open.get_or_insert_with(|| {
                out.extend_from_slice(stamp.as_bytes());
                out.push(b' ');
                0
            });
            let end = memchr::memchr(b'\n', bytes).unwrap_or(bytes.len());
            let room = LINE_MAX.saturating_sub(length);
            if end > room {
                let (fits, rest) = bytes.split_at(character_end(bytes, room));
                out.extend_from_slice(fits);
                self.end(out);
                bytes = rest;
                continue;
            }
            let (text, rest) = bytes.split_at(end);
            out.extend_from_slice(text);
            self.open = Some(length + text.len());
            bytes = match rest.split_first() {
                Some((_, rest)) => {
                    self.end(out);
                    rest
                }
                None => rest,
            };
        }
    }
}

/// The last place up to `most` that is not within a UTF-8 character, where there is one near.
fn character_end(bytes: &[u8], most: usize) -> usize {
    let continues = |at: usize| bytes.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
    (most.saturating_sub(3)..=most).rev().find(|at| !continues(*at)).unwrap_or(most)
}

/// Reads a line of a file, which anybody in the guest may have changed: without a time it is all text, and of one that
/// is too long the beginning counts.
#[must_use]
pub fn parse(line: &[u8]) -> LogLine {
    let (at, text) = match line.split_at_checked(STAMP) {
        Some((stamp, text)) if is_stamp(stamp) => (std::str::from_utf8(stamp).ok().map(str::trim_end), text),
        _ => (None, line),
    };
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let text = text.get(..character_end(text, LINE_MAX)).filter(|_| text.len() > LINE_MAX).unwrap_or(text);
    LogLine { at: at.map(str::to_owned), text: String::from_utf8_lossy(text).into_owned() }
}

/// `2026-01-31T12:34:56.789Z `, as far as its shape tells.
fn is_stamp(bytes: &[u8]) -> bool {
    const SHAPE: &[u8; STAMP] = b"0000-00-00T00:00:00.000Z ";
    bytes.len() == STAMP
        && bytes
            .iter()
            .zip(SHAPE)
            .all(|(byte, shape)| if *shape == b'0' { byte.is_ascii_digit() } else { byte == shape })
}

/// A time as lines have it, from Unix milliseconds.
#[must_use]
pub fn stamp(unix_ms: i64) -> String {
    let (days, rest) = (unix_ms.div_euclid(86_400_000), unix_ms.rem_euclid(86_400_000));
    let (year, month, day) = date(days);
    let (hours, minutes, seconds) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{:03}Z", rest % 1000)
}

/// Year, month and day of a day since 1970: years begin in March here, so that the leap day is the last one.
fn date(days: i64) -> (i64, i64, i64) {
    let days = (days + 719_468).clamp(0, 3_652_058 - 60);
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STAMPED: &str = "2026-01-31T12:34:56.789Z";

    fn written(pieces: &[&[u8]]) -> Vec<u8> {
        let (mut lines, mut out) = (Lines::default(), vec![]);
        for piece in pieces {
            lines.take(piece, 5, STAMPED, &mut out);
        }
        out
    }

    fn texts(out: &[u8]) -> Vec<String> {
        out.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(|line| parse(line).text).collect()
    }

    #[test]
    fn lines_have_times_and_are_not_held_back() {
        let out = written(&[b"one\ntw", b"o\n\nthr"]);
        let wanted = format!("{STAMPED} one\n{STAMPED} two\n{STAMPED} \n{STAMPED} thr");
        assert_eq!(String::from_utf8(out).unwrap(), wanted);
    }

    #[test]
    fn a_long_line_is_split_between_characters() {
        let long = format!("{}é{}", "a".repeat(LINE_MAX - 1), "b".repeat(10));
        let out = written(&[long.as_bytes(), b"\nnext\n"]);
        assert_eq!(texts(&out), ["a".repeat(LINE_MAX - 1), format!("é{}", "b".repeat(10)), "next".to_owned()]);
        // Exactly as long as it may be: one line.
        let out = written(&["a".repeat(LINE_MAX).as_bytes(), b"\nb\n"]);
        assert_eq!(texts(&out).len(), 2);
    }

    #[test]
    fn what_comes_too_fast_is_left_out_in_whole_lines_and_counted() {
        let (mut lines, mut out) = (Lines::default(), vec![]);
        let line = format!("{}\n", "x".repeat(999));
        let most = RATE / line.len();
        for _ in 0..most + 100 {
            lines.take(line.as_bytes(), 10, STAMPED, &mut out);
        }
        assert!(lines.has_dropped() && out.len() < RATE + RATE / 20);
        lines.take(b"tail of it", 500, STAMPED, &mut out);
        // The next count begins within a line, of which nothing is shown.
        lines.take(b" goes\nlater\n", 1010, STAMPED, &mut out);
        let texts = texts(&out);
        let (said, last) = (&texts[texts.len() - 2], &texts[texts.len() - 1]);
        assert_eq!(last, "later");
        assert!(said.starts_with("snapvm: ") && said.contains("left out"), "{said}");
        assert_eq!(texts[most - 1], "x".repeat(999));
        let numbers: Vec<usize> =
            said.split(|c: char| !c.is_ascii_digit()).filter_map(|text| text.parse().ok()).collect();
        // The line in which the count ended is there.
        assert_eq!(numbers[0], 100);
        assert_eq!(numbers[1], 99 * line.len() + "tail of it goes\n".len());
    }

    #[test]
    fn the_last_line_before_a_gap_is_a_whole_one() {
        // Read in pieces of any size, as from a pipe.
        for piece in [999, 4096, 65_536, RATE, 2 * RATE] {
            let (mut lines, mut out) = (Lines::default(), vec![]);
            let written: String = (0..2 * RATE / 100).map(|number| format!("{number:099}\n")).collect();
            for piece in written.as_bytes().chunks(piece) {
                lines.take(piece, 10, STAMPED, &mut out);
            }
            assert!(lines.has_dropped());
            let texts = texts(&out);
            assert!(texts.iter().all(|text| text.len() == 99), "{piece}: a line was cut");
            assert_eq!(texts.len(), RATE.div_ceil(100), "{piece}");
        }
    }

    #[test]
    fn a_quiet_end_is_said_when_the_count_is_over() {
        let (mut lines, mut out) = (Lines::default(), vec![]);
        lines.take(&vec![b'a'; RATE + 10], 10, STAMPED, &mut out);
        assert!(lines.has_dropped());
        lines.say_dropped(STAMPED, &mut out);
        assert!(!lines.has_dropped());
        assert!(texts(&out).last().unwrap().contains("(10 bytes) left out"));
    }

    #[test]
    fn times() {
        for (unix_ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_769_862_896_789, "2026-01-31T12:34:56.789Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(stamp(unix_ms), text);
        }
        for odd in [i64::MIN, i64::MAX] {
            assert!(is_stamp(format!("{} ", stamp(odd)).as_bytes()), "{}", stamp(odd));
        }
    }

    #[test]
    fn what_is_no_line_of_ours_is_text() {
        assert_eq!(parse(b"hello"), LogLine { at: None, text: "hello".into() });
        assert_eq!(parse(b""), LogLine { at: None, text: String::new() });
        assert_eq!(parse(b"2026-01-31T12:34:56.789Z"), LogLine { at: None, text: STAMPED.into() });
        let ours = parse(b"2026-01-31T12:34:56.789Z a\xffb\r");
        assert_eq!(ours, LogLine { at: Some(STAMPED.into()), text: "a\u{fffd}b".into() });
        assert!(parse(&vec![b'a'; 3 * LINE_MAX]).text.len() <= LINE_MAX);
    }

    proptest! {
        /// However it is cut, the same text comes out in lines of bounded length, each with a time.
        #[test]
        fn any_bytes_make_lines(
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..2000), 0..12),
        ) {
            let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            let out = written(&pieces);
            prop_assert_eq!(&out, &written(&[&pieces.concat()]));
            let mut back = vec![];
            for line in out.split_inclusive(|byte| *byte == b'\n') {
                let text = line.strip_suffix(b"\n").unwrap_or(line);
                prop_assert!(text.len() <= LINE_MAX + STAMP && is_stamp(&text[..STAMP]));
                back.extend_from_slice(&line[STAMP..]);
            }
            let without = |bytes: &[u8]| bytes.iter().copied().filter(|byte| *byte != b'\n').collect::<Vec<u8>>();
            prop_assert_eq!(without(&back), without(&pieces.concat()));
        }

        #[test]
        fn any_bytes_are_read(line in proptest::collection::vec(any::<u8>(), 0..300)) {
            let read = parse(&line);
            prop_assert!(read.text.len() <= 3 * LINE_MAX);
        }
    }
}
