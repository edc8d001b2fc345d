//! Pages and batches over files of any content: nothing twice, nothing left out, whatever the page's size.

use std::io::Write as _;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn soon() -> Instant {
    Instant::now() + Duration::from_mins(1)
}

/// Files with these contents, numbered from `first`.
fn files(first: u64, contents: &[impl AsRef<[u8]>]) -> Vec<Opened> {
    let open = |(index, content): (usize, &[u8])| {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        Opened { number: first + index as u64, file, length: content.len() as u64 }
    };
    contents.iter().map(AsRef::as_ref).enumerate().map(open).collect()
}

fn texts(lines: &[LogLine]) -> Vec<&str> {
    lines.iter().map(|line| line.text.as_str()).collect()
}

fn wanted(lines: usize, before: Option<Cursor>, search: Option<&str>) -> Wanted {
    Wanted { lines, before, search: search.map(Needle::new) }
}

const THREE: [&str; 3] = ["a1\na2\n", "b1\n", "c1\nc2\nopen"];

#[test]
fn pages_lead_back_to_the_beginning() {
    let first = page(files(7, &THREE), &wanted(2, None, None), soon());
    assert_eq!((texts(&first.lines), first.partial.unwrap().text.as_str()), (vec!["c1", "c2"], "open"));
    assert_eq!(first.newest, Some(Cursor { file: 9, offset: 6 }));
    let second = page(files(7, &THREE), &wanted(2, first.older, None), soon());
    assert_eq!((texts(&second.lines), second.partial, second.newest), (vec!["a2", "b1"], None, None));
    let third = page(files(7, &THREE), &wanted(2, second.older, None), soon());
    assert_eq!((texts(&third.lines), third.older), (vec!["a1"], None));
    // Rotated and removed meanwhile: what is there is given, what is gone is not.
    let later = page(files(8, &THREE[1..]), &wanted(9, second.older, None), soon());
    assert_eq!((later.lines.len(), later.older), (0, None));
}

#[test]
fn a_search_finds_whatever_the_case() {
    let contents = ["Error: ÄÖ\nfine\n", "an ERROR\nopen error"];
    let found = page(files(1, &contents), &wanted(9, None, Some("eRRor")), soon());
    assert_eq!(
        (texts(&found.lines), found.partial.is_some(), found.older),
        (vec!["Error: ÄÖ", "an ERROR"], true, None)
    );
    let found = page(files(1, &contents), &wanted(9, None, Some("äö")), soon());
    assert_eq!((texts(&found.lines), found.partial), (vec!["Error: ÄÖ"], None));
    assert_eq!(page(files(1, &contents), &wanted(9, None, Some("nowhere")), soon()).lines, vec![]);
}

#[test]
fn a_search_whose_time_is_over_says_where_to_go_on() {
    let content: String = (0..5000).map(|number| format!("{number}\n")).collect();
    let (mut before, mut rounds, mut found) = (None, 0, vec![]);
    loop {
        let part = page(files(1, &[&content]), &wanted(10, before, Some("4999")), Instant::now());
        found.extend(part.lines);
        rounds += 1;
        match part.older {
            Some(older) => before = Some(older),
            None => break,
        }
    }
    assert_eq!((texts(&found), rounds > 5), (vec!["4999"], true));
}

#[test]
fn a_page_has_a_limit_in_bytes() {
    let content: String = (0..400).map(|_| format!("{}\n", "x".repeat(8000))).collect();
    let first = page(files(1, &[&content]), &wanted(1000, None, None), soon());
    let bytes: usize = first.lines.iter().map(|line| line.text.len()).sum();
    assert!((TEXT_MAX..TEXT_MAX + 8001).contains(&bytes) && first.older.is_some());
}

#[test]
fn whoever_follows_gets_what_comes_and_hears_of_what_is_gone() {
    let (first, all) = batch(files(7, &THREE), Cursor { file: 7, offset: 3 }, None);
    assert_eq!((texts(&first.lines), first.skipped, all), (vec!["a2", "b1", "c1", "c2"], false, true));
    assert_eq!((first.newest, first.partial.unwrap().text.as_str()), (Cursor { file: 9, offset: 6 }, "open"));
    // The line ended, and the file was rotated.
    let later = ["b1\n", "c1\nc2\nopen end\n", ""];
    let (next, _) = batch(files(8, &later), first.newest, Some(&Needle::new("END")));
    assert_eq!(
        (texts(&next.lines), next.newest, next.partial),
        (vec!["open end"], Cursor { file: 10, offset: 0 }, None)
    );
    let (late, _) = batch(files(8, &later), Cursor { file: 2, offset: 9 }, None);
    assert_eq!((late.skipped, late.lines.len()), (true, 4));
    // Cut by somebody; removed altogether.
    let (cut, _) = batch(files(8, &["new\n"]), Cursor { file: 8, offset: 50 }, None);
    assert_eq!(texts(&cut.lines), ["new"]);
    let (anew, _) = batch(files(1, &["new\n"]), Cursor { file: 8, offset: 50 }, None);
    assert_eq!((texts(&anew.lines), anew.newest), (vec!["new"], Cursor { file: 1, offset: 4 }));
    assert!(batch(vec![], Cursor { file: 8, offset: 50 }, None).1);
}

#[test]
fn a_batch_is_bounded_and_goes_on() {
    let content: String = (0..60_000).map(|number| format!("line {number}\n")).collect();
    let (mut place, mut lines) = (Cursor { file: 1, offset: 0 }, vec![]);
    loop {
        let (part, all) = batch(files(1, &[&content]), place, None);
        assert!(part.lines.iter().map(|line| line.text.len() + 1).sum::<usize>() as u64 <= BATCH);
        place = part.newest;
        lines.extend(part.lines);
        if all {
            break;
        }
    }
    let wanted: Vec<String> = (0..60_000).map(|number| format!("line {number}")).collect();
    assert_eq!(texts(&lines), wanted);
    // A line that never ends does not stop it.
    let endless = vec![b'x'; 600_000];
    let (part, all) = batch(files(1, &[&endless]), Cursor { file: 1, offset: 0 }, None);
    assert_eq!((part.lines.len(), all, part.newest.offset), (1, false, BATCH));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Pages of any size, one after the other, are the file's lines; batches from any place are those behind it.
    #[test]
    fn any_files_are_read_once(
        contents in proptest::collection::vec("[a-c\n\u{e9}]{0,60}", 1..4),
        size in 1_usize..7,
        file in 0_u64..6,
        offset in 0_u64..70,
    ) {
        // As rotation leaves them: only the last one may end within a line.
        let last = contents.len() - 1;
        let contents: Vec<String> = contents
            .iter()
            .enumerate()
            .map(|(index, text)| if index < last && !text.is_empty() { format!("{text}\n") } else { text.clone() })
            .collect();
        let mut lines = vec![];
        for text in &contents {
            let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
            lines.extend(whole.split_inclusive('\n').map(|line| line.trim_end_matches('\n').to_owned()));
        }
        let (mut before, mut found) = (None, vec![]);
        loop {
            let part = page(files(1, &contents), &wanted(size, before, None), soon());
            prop_assert!(part.lines.len() <= size);
            found.splice(0..0, part.lines.into_iter().map(|line| line.text));
            match part.older {
                Some(older) => before = Some(older),
                None => break,
            }
        }
        prop_assert_eq!(&found, &lines);
        let (all, is_all) = batch(files(1, &contents), Cursor { file: 1, offset: 0 }, None);
        prop_assert_eq!((texts(&all.lines), is_all), (lines.iter().map(String::as_str).collect::<Vec<_>>(), true));
        // From a place that may be none: bounded, and no more than there is.
        let odd = Some(Cursor { file, offset });
        prop_assert!(page(files(1, &contents), &wanted(size, odd, None), soon()).lines.len() <= size);
        let (rest, _) = batch(files(1, &contents), Cursor { file, offset }, None);
        prop_assert!(rest.lines.len() <= lines.len() + 1);
    }
}
