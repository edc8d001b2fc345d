//! The muter against what xterm.js does: nothing is answered, everything else is done as before.

use super::reference::look;
use super::*;
use proptest::prelude::*;

const QUERIES: &[&[u8]] = &[
    b"\x1b[5n",
    b"\x1b[6n",
    b"\x1b[?6n",
    b"\x1b[?15n",
    b"\x1b[?996n",
    b"\x1b[c",
    b"\x1b[0c",
    b"\x1b[>c",
    b"\x1b[>0c",
    b"\x1b[=c",
    b"\x1bZ",
    b"\x1b[20$p",
    b"\x1b[?2026$p",
    b"\x1b[>q",
    b"\x1b[>0q",
    b"\x1b[x",
    b"\x1b[1x",
    b"\x1b[11t",
    b"\x1b[13t",
    b"\x1b[14t",
    b"\x1b[14;2t",
    b"\x1b[15t",
    b"\x1b[16t",
    b"\x1b[18t",
    b"\x1b[19t",
    b"\x1b[20t",
    b"\x1b[21t",
    b"\x1b[?u",
    b"\x1b]4;1;?\x07",
    b"\x1b]10;?\x1b\\",
    b"\x1b]11;?\x07",
    b"\x1b]12;?\x1b\\",
    b"\x1b]19;?\x07",
    b"\x1b]52;c;?\x07",
    b"\x1bP$qm\x1b\\",
    b"\x1bP$q q\x1b\\",
    b"\x1bP+q544e\x1b\\",
    b"\x05",
    b"\xc2\x9b6n",
    b"\xc2\x9d11;?\xc2\x9c",
    b"\xc2\x90$qm\xc2\x9c",
    b"\x1b[6\x7fn",
    b"\x1b[6\xff\x80n",
    b"\x1b]11;\x01?\x07",
    b"\x1b]10;red;?\x07",
    b"\x1b]4;1;red;2;?\x07",
    b"\x1b[?4m",
    b"\x1b[?1;1;0S",
    b"\x1b[#|",
    b"\x1b[1;1;1;1;1;1*y",
];

const OTHERS: &[&[u8]] = &[
    b"\x1b[31m",
    b"\x1b[>4;2m",
    b"\x1b[8;24;80t",
    b"\x1b[22;0;0t",
    b"\x1b[2 q",
    b"\x1b[u",
    b"\x1b[>1u",
    b"\x1b[!p",
    b"\x1b[?1049h",
    b"\x1b]0;what?\x07",
    b"\x1b]2;?\x1b\\",
    b"\x1b]104;?\x07",
    b"\x1b]11;#ffffff\x1b\\",
    b"\x1b]52;c;aGk=\x07",
    b"\x1b]8;;http://x/?\x1b\\",
    b"\x1bPq#0;2;0;0;0~\x1b\\",
    b"\x1b_Ga=t,f=24;AAAA\x1b\\",
    b"\x1b[?1;2c",
    b"\x1b[>5n",
    b"\x1b[1;1;2;2$x",
    b"\x1b]2;\x05\x07",
    "✓ 你好".as_bytes(),
    b"\x1b[S",
    b"\x1b[2S",
];

#[test]
fn each_query_is_muted_in_place_and_nothing_else_is() {
    for query in QUERIES {
        assert_eq!(look(query).answers.len(), 1, "{}", query.escape_ascii());
        let muted = muted(query);
        assert_eq!(muted.len(), query.len());
        assert_eq!(look(&muted).answers, [] as [&str; 0], "{}", query.escape_ascii());
        assert!(look(&muted).ends_in_ground, "{}", query.escape_ascii());
    }
    for other in OTHERS {
        assert_eq!(muted(other), *other, "{}", other.escape_ascii());
    }
    assert_eq!(muted(b"a\x1b[6nb"), b"a\x1b[6\x18b");
    assert_eq!(muted(b"a\x1b]11;?\x1b\\b"), b"a\x1b]11;?\x18\0b");
    assert_eq!(muted(b"a\x1b]11;?\x07b"), b"a\x1b]11;?\x18b");
    assert_eq!(muted(b"a\x05b"), b"a\0b");
    assert_eq!(muted(b"\x1b_Gi=1,a=q;AAAA\x1b\\"), b"\x1b_Gi=1,a=q;AAAA\x18\0");
    assert_eq!(muted(b"\x1b_Ga=t;a=q\x1b\\"), b"\x1b_Ga=t;a=q\x1b\\");
}

#[test]
fn a_sequence_that_ends_a_query_by_its_escape_goes_with_it() {
    assert_eq!(muted(b"\x1b]11;?\x1b[31mx"), b"\x1b]11;?\x18\0\0\0\0x");
    assert_eq!(muted(b"\x1b]11;?\x1b[6nx"), b"\x1b]11;?\x18\0\0\0x");
    assert_eq!(muted(b"\x1b]11;?\x1b[3\n1mx"), b"\x1b]11;?\x18\0\0\n\0\0x");
    assert_eq!(muted(b"\x1b]11;?\x1b[3\x1b[6nx"), b"\x1b]11;?\x18\0\0\x1b[6\x18x");
    assert_eq!(look(&muted(b"\x1b]11;?\x1b[\xc2\x9b6nx")).done, ["print 'x'"]);
}

#[test]
fn what_begins_muted_ends_muted_and_what_begins_aloud_is_left() {
    let followed = |first: &[u8], second: &[u8], mute_first: bool| {
        let mut muter = Muter::default();
        let (mut first, mut second) = (first.to_vec(), second.to_vec());
        muter.follow(&mut first, mute_first);
        muter.follow(&mut second, !mute_first);
        [first, second].concat()
    };
    assert_eq!(followed(b"\x1b[", b"6n\x1b[6n", true), b"\x1b[6\x18\x1b[6n");
    assert_eq!(followed(b"\x1b[", b"6n\x1b[6n", false), b"\x1b[6n\x1b[6\x18");
    assert_eq!(followed(b"\x1b]11;?\x1b", b"\\\x1b[6n", true), b"\x1b]11;?\x18\0\x1b[6n");
    assert_eq!(followed(b"\xc2", b"\x9b6n\x1b[6n", true), b"\xc2\x9b6\x18\x1b[6n");
    let mut muter = Muter::default();
    muter.pass(b"text\x1b[");
    let mut rest = b"6n".to_vec();
    muter.follow(&mut rest, true);
    assert_eq!(rest, b"6n");
}

/// Bytes that often make sequences, and cut ones.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        6 => proptest::sample::select(QUERIES).prop_map(<[u8]>::to_vec),
        3 => proptest::sample::select(OTHERS).prop_map(<[u8]>::to_vec),
        3 => proptest::sample::select(b"\x1b\x9b\x9c\x9d\x90\xc2\x18\x07\x05\n[]P_\\?;:$nctmq460 \x7f".to_vec()).prop_map(|byte| vec![byte]),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
        1 => (proptest::sample::select(QUERIES), 0_usize..12).prop_map(|(query, cut)| query[..cut.min(query.len())].to_vec()),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_query_survives_and_lengths_stay(bytes in hostile()) {
        let muted = muted(&bytes);
        prop_assert_eq!(muted.len(), bytes.len());
        prop_assert_eq!(look(&muted).answers, Vec::<String>::new(), "{}", bytes.escape_ascii());
        prop_assert_eq!(&super::muted(&muted), &muted);
    }

    #[test]
    fn splitting_makes_no_difference(bytes in hostile(), cuts in proptest::collection::vec(0_usize..200, 0..6)) {
        let mut muter = Muter::default();
        let mut split = bytes.clone();
        let mut rest = split.as_mut_slice();
        for cut in cuts {
            let (piece, more) = rest.split_at_mut(cut.min(rest.len()));
            muter.follow(piece, true);
            rest = more;
        }
        muter.follow(rest, true);
        prop_assert_eq!(split, muted(&bytes));
    }

    #[test]
    fn everything_else_is_done_as_before(bytes in hostile()) {
        // Where a sequence lost its ESC with the query before it, it is meant to go.
        let muted = muted(&bytes);
        let lost = muted.iter().zip(&bytes).any(|(now, before)| *now == 0 && !matches!(before, 0 | 5 | b'\\'));
        if !lost {
            prop_assert_eq!(look(&muted).done, look(&bytes).done, "{}", bytes.escape_ascii());
        }
        if look(&bytes).answers.is_empty() && !bytes.windows(2).any(|pair| pair == b"\x1b_") && !bytes.windows(2).any(|pair| pair == b"\xc2\x9f") {
            prop_assert_eq!(muted, bytes);
        }
    }

    #[test]
    fn nothing_is_changed_aloud(bytes in hostile()) {
        let mut same = bytes.clone();
        Muter::default().follow(&mut same, false);
        prop_assert_eq!(same, bytes);
    }

    #[test]
    fn ground_is_where_xterm_has_it(bytes in hostile()) {
        let mut sequences = Sequences::default();
        for byte in &bytes {
            sequences.advance(*byte);
        }
        if sequences.is_ground() {
            prop_assert!(look(&bytes).ends_in_ground);
        }
        // What swallows the rest of a cut sequence leaves nothing of it.
        let mut cut = sequences.swallowing().to_vec();
        cut.extend_from_slice(b"\x18x");
        prop_assert_eq!(look(&cut).done, ["print 'x'"]);
    }
}
