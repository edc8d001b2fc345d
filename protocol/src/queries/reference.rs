//! What xterm.js 6 answers: its UTF-8 decoder, its transition table and the handlers that type, written down as they
//! are there and without any regard to splitting or speed.

/// States in xterm.js' order.
const GROUND: usize = 0;
const ESCAPE: usize = 1;
const ESCAPE_INTERMEDIATE: usize = 2;
const CSI_ENTRY: usize = 3;
const CSI_PARAM: usize = 4;
const CSI_INTERMEDIATE: usize = 5;
const CSI_IGNORE: usize = 6;
const SOS_PM_APC: usize = 7;
const OSC: usize = 8;
const DCS_ENTRY: usize = 9;
const DCS_PARAM: usize = 10;
const DCS_IGNORE: usize = 11;
const DCS_INTERMEDIATE: usize = 12;
const DCS: usize = 13;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Ignore,
    Error,
    Print,
    Execute,
    OscStart,
    OscPut,
    OscEnd,
    Csi,
    Param,
    Collect,
    Esc,
    Clear,
    Hook,
    Put,
    Unhook,
}

type Table = Vec<[(Action, usize); 0xa1]>;

fn table() -> Table {
    use Action::*;
    let mut table = vec![[(Error, GROUND); 0xa1]; 14];
    let executables = || (0x00..0x18).chain([0x19]).chain(0x1c..0x20);
    let printables = || 0x20..0x7f;
    let mut add = |codes: Vec<usize>, states: &[usize], action: Action, next: Option<usize>| {
        for state in states {
            for code in &codes {
                table[*state][*code] = (action, next.unwrap_or(*state));
            }
        }
    };
    let all: Vec<usize> = (0..14).collect();
    add(printables().collect(), &[GROUND], Print, None);
    add(vec![0x18, 0x1a, 0x99, 0x9a], &all, Execute, Some(GROUND));
    add((0x80..0x98).collect(), &all, Execute, Some(GROUND));
    add(vec![0x9c], &all, Ignore, Some(GROUND));
    add(vec![0x1b], &all, Clear, Some(ESCAPE));
    add(vec![0x9d], &all, OscStart, Some(OSC));
    add(vec![0x98, 0x9e, 0x9f], &all, Ignore, Some(SOS_PM_APC));
    add(vec![0x9b], &all, Clear, Some(CSI_ENTRY));
    add(vec![0x90], &all, Clear, Some(DCS_ENTRY));
    let executing = [GROUND, ESCAPE, CSI_ENTRY, CSI_PARAM, CSI_IGNORE, CSI_INTERMEDIATE, ESCAPE_INTERMEDIATE];
    add(executables().collect(), &executing, Execute, None);
    add(vec![0x7f], &executing[1..], Ignore, None);
    add(executables().collect(), &[OSC, SOS_PM_APC], Ignore, None);
    add(vec![0x5d], &[ESCAPE], OscStart, Some(OSC));
    add((0x20..0x80).collect(), &[OSC], OscPut, None);
    add(vec![0x9c, 0x1b, 0x18, 0x1a, 0x07], &[OSC], OscEnd, Some(GROUND));
    add(vec![0x58, 0x5e, 0x5f], &[ESCAPE], Ignore, Some(SOS_PM_APC));
    add((0x20..0x80).collect(), &[SOS_PM_APC], Ignore, None);
    add(vec![0x5b], &[ESCAPE], Clear, Some(CSI_ENTRY));
    add((0x40..0x7f).collect(), &[CSI_ENTRY, CSI_PARAM, CSI_INTERMEDIATE], Csi, Some(GROUND));
    add((0x30..0x3c).collect(), &[CSI_ENTRY, CSI_PARAM], Param, Some(CSI_PARAM));
    add((0x3c..0x40).collect(), &[CSI_ENTRY], Collect, Some(CSI_PARAM));
    add((0x3c..0x40).collect(), &[CSI_PARAM], Ignore, Some(CSI_IGNORE));
    add((0x20..0x40).collect(), &[CSI_IGNORE], Ignore, None);
    add((0x40..0x7f).collect(), &[CSI_IGNORE], Ignore, Some(GROUND));
    add((0x20..0x30).collect(), &[CSI_ENTRY, CSI_INTERMEDIATE, CSI_PARAM], Collect, Some(CSI_INTERMEDIATE));
    add((0x30..0x40).collect(), &[CSI_INTERMEDIATE], Ignore, Some(CSI_IGNORE));
    add((0x20..0x30).collect(), &[ESCAPE, ESCAPE_INTERMEDIATE], Collect, Some(ESCAPE_INTERMEDIATE));
    add((0x30..0x7f).collect(), &[ESCAPE_INTERMEDIATE], Esc, Some(GROUND));
    add(
        (0x30..0x50).chain(0x51..0x58).chain([0x59, 0x5a, 0x5c]).chain(0x60..0x7f).collect(),
        &[ESCAPE],
        Esc,
        Some(GROUND),
    );
    add(vec![0x50], &[ESCAPE], Clear, Some(DCS_ENTRY));
    let heads = [DCS_ENTRY, DCS_PARAM, DCS_INTERMEDIATE];
    add(executables().chain([0x7f]).collect(), &heads, Ignore, None);
    add((0x20..0x30).collect(), &heads, Collect, Some(DCS_INTERMEDIATE));
    add((0x30..0x3c).collect(), &[DCS_ENTRY, DCS_PARAM], Param, Some(DCS_PARAM));
    add((0x3c..0x40).collect(), &[DCS_ENTRY], Collect, Some(DCS_PARAM));
    add((0x3c..0x40).collect(), &[DCS_PARAM], Ignore, Some(DCS_IGNORE));
    add((0x30..0x40).collect(), &[DCS_INTERMEDIATE], Ignore, Some(DCS_IGNORE));
    add((0x40..0x7f).collect(), &heads, Hook, Some(DCS));
    add(executables().chain(0x20..0x80).collect(), &[DCS_IGNORE], Ignore, None);
    add(executables().chain(printables()).collect(), &[DCS], Put, None);
    add(vec![0x7f], &[DCS], Ignore, None);
    add(vec![0x1b, 0x9c, 0x18, 0x1a], &[DCS], Unhook, Some(GROUND));
    add(vec![0xa0], &[GROUND], Print, None);
    add(vec![0xa0], &[OSC], OscPut, None);
    add(vec![0xa0], &[CSI_IGNORE, DCS_IGNORE], Ignore, None);
    add(vec![0xa0], &[DCS], Put, None);
    table
}

/// The decoder of xterm.js, for input that comes in one piece.
fn decode(input: &[u8]) -> Vec<u32> {
    let mut out = vec![];
    let mut at = 0;
    while at < input.len() {
        let first = input[at];
        at += 1;
        let (kind, bits) = match first {
            0x00..=0x7f => {
                out.push(first.into());
                continue;
            }
            0xc0..=0xdf => (2, first & 0x1f),
            0xe0..=0xef => (3, first & 0x0f),
            0xf0..=0xf7 => (4, first & 0x07),
            _ => continue,
        };
        let mut code = u32::from(bits);
        let mut whole = true;
        for _ in 1..kind {
            match input.get(at) {
                Some(byte) if byte & 0xc0 == 0x80 => {
                    code = code << 6 | u32::from(byte & 0x3f);
                    at += 1;
                }
                _ => {
                    whole = false;
                    break;
                }
            }
        }
        let valid = match kind {
            2 => code >= 0x80,
            3 => code >= 0x800 && !(0xd800..=0xdfff).contains(&code) && code != 0xfeff,
            _ => (0x1_0000..=0x10_ffff).contains(&code),
        };
        if whole && valid {
            out.push(code);
        }
    }
    out
}

/// What is printed and what else is done, in order; and how many answers are typed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) done: Vec<String>,
    pub(super) answers: Vec<String>,
    pub(super) ends_in_ground: bool,
}

/// Everything that xterm.js and its usual add-ons do with these bytes.
pub(super) fn look(input: &[u8]) -> Seen {
    let table = table();
    let (mut state, mut seen) = (GROUND, Seen::default());
    let (mut collect, mut params) = (String::new(), String::new());
    let (mut osc, mut dcs_head, mut dcs): (Option<String>, Option<String>, String) = (None, None, String::new());
    for code in decode(input) {
        let index = usize::try_from(code).unwrap().min(0xa0);
        let character = char::from_u32(code).unwrap();
        let (action, mut next) = table[state][index];
        match action {
            Action::Ignore | Action::Error => {}
            Action::Print => seen.done.push(format!("print {character:?}")),
            Action::Execute => {
                if code == 5 {
                    seen.answers.push("ENQ".into());
                }
                // Those that do nothing are not worth telling apart.
                if !matches!(code, 0 | 5 | 0x18 | 0x1a) {
                    seen.done.push(format!("execute {code}"));
                }
            }
            Action::Clear => (collect, params) = (String::new(), String::new()),
            Action::Collect => collect.push(character),
            Action::Param => params.push(character),
            Action::Csi => {
                let told = format!("CSI {collect} {params} {character}");
                if answers_control(&collect, &params, character) {
                    seen.answers.push(told);
                } else {
                    seen.done.push(told);
                }
            }
            Action::Esc => {
                let told = format!("ESC {collect} {character}");
                match (collect.as_str(), character) {
                    ("", 'Z') => seen.answers.push(told),
                    ("", '\\') => {}
                    _ => seen.done.push(told),
                }
            }
            Action::OscStart => osc = Some(String::new()),
            Action::OscPut => osc.iter_mut().for_each(|osc| osc.push(character)),
            Action::OscEnd => {
                if let Some(osc) = osc.take().filter(|_| !matches!(code, 0x18 | 0x1a)) {
                    let is_query = answers_osc(&osc);
                    let list = if is_query { &mut seen.answers } else { &mut seen.done };
                    list.push(format!("OSC {osc}"));
                }
            }
            Action::Hook => (dcs_head, dcs) = (Some(format!("{collect}{character}")), String::new()),
            Action::Put => dcs.push(character),
            Action::Unhook => {
                if let Some(head) = dcs_head.take().filter(|_| !matches!(code, 0x18 | 0x1a)) {
                    let is_query = matches!(head.as_str(), "$q" | "+q");
                    let list = if is_query { &mut seen.answers } else { &mut seen.done };
                    list.push(format!("DCS {head} {dcs}"));
                }
            }
        }
        if matches!(action, Action::OscEnd | Action::Unhook) {
            (collect, params) = (String::new(), String::new());
            if code == 0x1b {
                next = ESCAPE;
            }
        }
        state = next;
    }
    seen.ends_in_ground = state == GROUND;
    seen
}

fn answers_control(collect: &str, params: &str, last: char) -> bool {
    let first = params.split(';').next().unwrap_or_default().split(':').next().unwrap_or_default();
    let first: f64 = first.parse().unwrap_or(0.0);
    match (collect, last) {
        ("" | "?", 'n') | ("" | ">" | "=", 'c') | ("", 'x') | ("$" | "?$", 'p') | (">", 'q') => true,
        ("?", 'u' | 'm' | 'S') => true,
        ("$", 'u' | 'w') | ("*", 'y') | ("'" | "#", '|') | ("\"", 'v') | ("&", 'u') => true,
        ("", 't') => [11.0, 13.0, 14.0, 15.0, 16.0, 18.0, 19.0, 20.0, 21.0].contains(&first),
        _ => false,
    }
}

fn answers_osc(osc: &str) -> bool {
    let (number, payload) = osc.split_once(';').unwrap_or((osc, ""));
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    let number: f64 = number.parse().unwrap_or(0.0);
    let asks = payload.split(';').any(|field| field == "?");
    match number {
        21.0 => payload.split([';', '=']).any(|field| field == "?"),
        number if [4.0, 5.0, 52.0].contains(&number) || (10.0..=19.0).contains(&number) => asks,
        _ => false,
    }
}
