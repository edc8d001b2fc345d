use super::*;
use proptest::prelude::*;

fn request() -> ExecRequest {
    ExecRequest { command: "make".into(), ..ExecRequest::default() }
}

fn field(request: ExecRequest) -> &'static str {
    request.check().unwrap_err().field
}

#[test]
fn what_is_absent_is_the_default() {
    let command = decode(br#"{"command":"make"}"#).unwrap();
    assert_eq!((command.timeout_seconds, command.output_limit), (60, 1024 * 1024));
    assert_eq!((command.cwd, command.stdin), (None, vec![]));
}

#[test]
fn each_field_has_its_limits_and_names_itself() {
    let nul = || "a\0b".to_owned();
    let long = |length| "a".repeat(length);
    for command in [String::new(), "  ".into(), nul(), long(4096)] {
        assert_eq!(field(ExecRequest { command, ..request() }), "command");
    }
    for args in [vec![nul()], vec![long(128 * 1024)], vec![String::new(); 1001], vec![long(100_000); 6]] {
        assert_eq!(field(ExecRequest { args, ..request() }), "args");
    }
    for (name, value) in [("", "b"), ("a=b", "c"), ("a\0", "b"), ("a", "b\0"), ("a", &long(128 * 1024))] {
        let env = [(name.to_owned(), value.to_owned())].into();
        assert_eq!(field(ExecRequest { env, ..request() }), "env");
    }
    let many = (0..1001).map(|number| (number.to_string(), String::new())).collect();
    assert_eq!(field(ExecRequest { env: many, ..request() }), "env");
    for cwd in [nul(), long(4096)] {
        assert_eq!(field(ExecRequest { cwd: Some(cwd), ..request() }), "cwd");
    }
    for text in ["*", "YQ", "YQ=", "YQ==\n"] {
        assert_eq!(field(ExecRequest { stdin_base64: Some(text.into()), ..request() }), "stdin_base64");
    }
    let both = ExecRequest { stdin: Some("a".into()), stdin_base64: Some("YQ==".into()), ..request() };
    assert_eq!(field(both), "stdin_base64");
    for seconds in [0, -1, 3601, i64::MAX, i64::MIN] {
        assert_eq!(field(ExecRequest { timeout_seconds: Some(seconds), ..request() }), "timeout_seconds");
    }
    for bytes in [-1, 8 * 1024 * 1024 + 1, i64::MAX] {
        assert_eq!(field(ExecRequest { output_limit: Some(bytes), ..request() }), "output_limit");
    }
    assert!(matches!(decode(br#"{"command":"make","detach":true}"#), Err(DecodeError::Malformed(_))));
    assert!(matches!(decode(&vec![b' '; REQUEST_MAX + 1]), Err(DecodeError::TooLong)));
}

#[test]
fn the_audit_log_gets_a_program_and_nothing_it_was_given() {
    let named = |program: &str| ExecRequest { command: program.into(), ..request() }.check().unwrap().audit_name();
    assert_eq!(named("/usr/bin/make"), "make");
    assert_eq!(named("curl -H token:secret https://a/b"), "curl");
    assert_eq!(named("./a/\u{1b}[31mrun/"), "[31mrun");
    assert_eq!(named(&"é".repeat(100)).chars().count(), 60);
    assert_eq!(named("/"), "");
}

#[test]
fn a_refusal_is_the_same_on_both_sides() {
    let text = serde_json::to_string(&Refusal::TooManyCommands).unwrap();
    assert_eq!(text, r#"{"code":"too_many_commands"}"#);
    for refusal in [
        Refusal::ProgramNotFound,
        Refusal::NotExecutable,
        Refusal::DirectoryNotFound,
        Refusal::ArgumentsTooLong,
        Refusal::TooManyCommands,
        Refusal::TooMuchOutput,
        Refusal::NoProcess,
    ] {
        let value = serde_json::to_value(refusal).unwrap();
        assert_eq!(value, serde_json::json!({"code": refusal.code()}));
        assert_eq!(serde_json::from_value::<Refusal>(value).unwrap(), refusal);
    }
    assert!(Refusal::TooManyCommands.to_string().contains("32"));
}

#[test]
fn a_character_that_comes_in_two_is_written_in_one() {
    let mut chunker = Chunker::default();
    assert_eq!(chunker.push(b"a\xe2\x82"), Some(Chunk::Text("a".into())));
    assert_eq!(chunker.push(b""), None);
    assert_eq!(chunker.push(b"\xacb"), Some(Chunk::Text("€b".into())));
    assert_eq!(chunker.push(b"\xff"), Some(Chunk::Base64("/w==".into())));
    assert_eq!(chunker.push(b"\xf0\x9f"), None);
    assert_eq!(chunker.finish(), Some(Chunk::Base64("8J8=".into())));
    assert_eq!(chunker.finish(), None);
}

#[test]
fn a_cut_stream_loses_half_a_character_and_a_whole_one_says_what_it_is() {
    assert_eq!(written(b"a\xe2\x82".to_vec(), true), ("a".into(), Encoding::Utf8));
    assert_eq!(written(b"a\xe2\x82".to_vec(), false), ("YeKC".into(), Encoding::Base64));
    assert_eq!(written(b"\xffa\xe2".to_vec(), true), ("/2Hi".into(), Encoding::Base64));
    assert_eq!(serde_json::to_string(&Encoding::Utf8).unwrap(), r#""utf-8""#);
}

/// JSON that is nearly a request: every field there is, with values of every kind.
fn nearly() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
        proptest::collection::vec(any::<String>(), 0..4).prop_map(|list| serde_json::to_string(&list).unwrap()),
        proptest::collection::btree_map(any::<String>(), any::<String>(), 0..4)
            .prop_map(|map| serde_json::to_string(&map).unwrap()),
        Just("null".to_owned()),
        Just("1e999".to_owned()),
        Just("[[[[[[".to_owned()),
    ];
    let name = prop_oneof![
        Just("command"),
        Just("args"),
        Just("env"),
        Just("cwd"),
        Just("stdin"),
        Just("stdin_base64"),
        Just("timeout_seconds"),
        Just("output_limit"),
        Just("detach"),
    ];
    proptest::collection::vec((name, value), 0..8).prop_map(|fields| {
        let fields: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", fields.join(","))
    })
}

/// Whatever was accepted keeps every promise that the agent relies on.
fn sound(command: &Command) -> bool {
    let plain = |text: &str| !text.contains('\0');
    !command.program.trim().is_empty()
        && plain(&command.program)
        && command.args.iter().all(|argument| plain(argument))
        && command
            .env
            .iter()
            .all(|(name, value)| !name.is_empty() && !name.contains('=') && plain(name) && plain(value))
        && command.cwd.as_deref().is_none_or(plain)
        && (1..=TIMEOUT_MAX).contains(&command.timeout_seconds)
        && command.output_limit <= OUTPUT_MAX as usize
        && command.audit_name().chars().count() <= 60
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(command) = decode(&bytes) {
            prop_assert!(sound(&command));
        }
    }

    #[test]
    fn what_is_nearly_a_request_is_read_or_refused(text in nearly()) {
        if let Ok(command) = decode(text.as_bytes()) {
            prop_assert!(sound(&command), "{command:?}");
        }
    }

    #[test]
    fn a_request_means_what_it_says(
        args in proptest::collection::vec("[^\0]{0,20}", 0..5),
        env in proptest::collection::btree_map("[^\0=]{1,8}", "[^\0]{0,8}", 0..5),
        stdin: Vec<u8>,
        timeout in 1_i64..=3600,
        limit in 0_i64..=8 * 1024 * 1024,
    ) {
        let request = ExecRequest {
            command: "p".into(),
            args: args.clone(),
            env: env.clone(),
            stdin_base64: Some(STANDARD.encode(&stdin)),
            timeout_seconds: Some(timeout),
            output_limit: Some(limit),
            ..ExecRequest::default()
        };
        let command = decode(&serde_json::to_vec(&request).unwrap()).unwrap();
        prop_assert_eq!((command.args, command.env, command.stdin), (args, env, stdin));
        prop_assert_eq!(i64::from(command.timeout_seconds), timeout);
        prop_assert_eq!(i64::try_from(command.output_limit).unwrap(), limit);
    }

    #[test]
    fn chunks_are_the_stream_and_no_text_is_cut_within_a_character(
        pieces in proptest::collection::vec(
            prop_oneof![
                "\\PC{0,4}".prop_map(String::into_bytes),
                proptest::collection::vec(any::<u8>(), 0..4),
            ],
            0..20,
        ),
        cut in 1_usize..5,
    ) {
        let whole: Vec<u8> = pieces.concat();
        let mut chunker = Chunker::default();
        let mut chunks: Vec<Chunk> = whole.chunks(cut).filter_map(|piece| chunker.push(piece)).collect();
        chunks.extend(chunker.finish());
        let together: Vec<u8> = chunks.iter().flat_map(|chunk| chunk.bytes().unwrap()).collect();
        prop_assert_eq!(&together, &whole);
        if std::str::from_utf8(&whole).is_ok() {
            prop_assert!(chunks.iter().all(|chunk| matches!(chunk, Chunk::Text(_))));
        }
        for chunk in &chunks {
            let text = event("stdout", chunk).unwrap();
            prop_assert_eq!(text.matches('\n').count(), 3);
        }
    }
}
