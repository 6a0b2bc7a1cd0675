//! The odd forms of a job. Some miner reads each of them, or a pool could say that one does.

use super::job::Job;

/// The expected treatment of a form.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expect {
    /// The job is read, and so is the same form of a job that pays the owner.
    Judged,
    /// The job is read, or it is said that it could not be.
    Noticed,
}

/// One way to write a job.
#[derive(Clone)]
pub struct Form {
    pub name: &'static str,
    pub expect: Expect,
    /// The bytes of a job, with all ends of lines.
    pub write: fn(&Job) -> Vec<u8>,
}

const fn judged(name: &'static str, write: fn(&Job) -> Vec<u8>) -> Form {
    Form { name, expect: Expect::Judged, write }
}

const fn noticed(name: &'static str, write: fn(&Job) -> Vec<u8>) -> Form {
    Form { name, expect: Expect::Noticed, write }
}

/// A line with this text.
fn line(text: impl Into<String>) -> Vec<u8> {
    let mut text: String = text.into();
    text.push('\n');
    text.into_bytes()
}

/// A line with the usual message of a job that was changed.
fn changed(job: &Job, change: impl FnOnce(&mut Job)) -> Vec<u8> {
    let mut job = job.clone();
    change(&mut job);
    job.line().into_bytes()
}

/// A line whose first `from` is replaced by bytes that no text could have.
fn replaced(text: &str, from: &str, to: &[u8]) -> Vec<u8> {
    let place = text.find(from).unwrap();
    [&text.as_bytes()[..place], to, &text.as_bytes()[place + from.len()..]].concat()
}

/// The usual form, and a few of known pools: nothing here is odd.
pub const USUAL: &[Form] = &[
    judged("usual", |job| job.line().into_bytes()),
    judged("spaces between", |job| {
        line(format!("{{ \"id\" : null , \"method\" : \"mining.notify\" , \"params\" : {} }}", job.params()))
    }),
    judged("other order", |job| {
        line(format!("{{\"params\":{},\"id\":null,\"method\":\"mining.notify\"}}", job.params()))
    }),
    judged("carriage return", |job| line(job.message() + "\r")),
    judged("jsonrpc", |job| {
        line(format!(
            "{{\"jsonrpc\":\"2.0\",\"method\":\"mining.notify\",\"params\":{},\"id\":null}}",
            job.params()
        ))
    }),
    judged("id 0", |job| line(job.message().replacen("null", "0", 1))),
    judged("clean", |job| changed(job, |job| job.clean = "true".into())),
];

/// Keys that stand twice, or are written otherwise.
pub const KEYS: &[Form] = &[
    judged("id twice", |job| line(job.message().replacen("\"id\":null", "\"id\":null,\"id\":null", 1))),
    judged("id twice, the first a number", |job| {
        line(job.message().replacen("\"id\":null", "\"id\":7,\"id\":null", 1))
    }),
    judged("method twice", |job| {
        line(job.message().replacen("\"method\"", "\"method\":\"mining.notify\",\"method\"", 1))
    }),
    judged("method twice, a decoy first", |job| {
        line(job.message().replacen("\"method\"", "\"method\":\"mining.ping\",\"method\"", 1))
    }),
    judged("method twice, a decoy last", |job| {
        line(job.message().replacen("\"params\"", "\"method\":\"mining.ping\",\"params\"", 1))
    }),
    judged("params twice, the owner's first", |job| {
        let decoy = format!("\"params\":{},\"params\"", job.twin().params());
        line(job.message().replacen("\"params\"", &decoy, 1))
    }),
    judged("params twice, the owner's last", |job| {
        let message = job.message();
        line(format!("{},\"params\":{}}}", message.strip_suffix('}').unwrap(), job.twin().params()))
    }),
    judged("result beside", |job| {
        line(job.message().replacen("\"id\":null", "\"id\":null,\"result\":true,\"error\":null", 1))
    }),
    judged("error twice", |job| {
        line(job.message().replacen("\"id\":null", "\"id\":null,\"error\":null,\"error\":null", 1))
    }),
    judged("all keys in capitals", |job| {
        line(format!("{{\"ID\":null,\"METHOD\":\"mining.notify\",\"PARAMS\":{}}}", job.params()))
    }),
    judged("keys with a capital", |job| {
        line(format!("{{\"id\":null,\"Method\":\"mining.notify\",\"Params\":{}}}", job.params()))
    }),
    judged("two cases of a key", |job| {
        line(format!(
            "{{\"id\":null,\"PARAMS\":{},\"method\":\"mining.notify\",\"params\":{}}}",
            job.params(),
            job.twin().params()
        ))
    }),
    judged("an escaped key", |job| line(job.message().replacen("\"method\"", "\"\\u006dethod\"", 1))),
    noticed("a NUL behind a key", |job| line(job.message().replacen("\"method\"", "\"method\\u0000x\"", 1))),
    judged("an unknown key twice", |job| line(job.message().replacen("\"id\"", "\"x\":1,\"x\":2,\"id\"", 1))),
];

/// Something before or behind the object.
pub const AROUND: &[Form] = &[
    judged("text behind", |job| line(job.message() + " and more")),
    judged("a brace behind", |job| line(job.message() + "}")),
    judged("a comma behind", |job| line(job.message() + ",")),
    judged("an empty object behind", |job| line(job.message() + "{}")),
    judged("the owner's job behind", |job| line(job.message() + &job.twin().message())),
    judged("the owner's job before", |job| line(job.twin().message() + &job.message())),
    judged("the owner's job before, with a blank", |job| {
        line(format!("{} {}", job.twin().message(), job.message()))
    }),
    judged("a NUL behind", |job| line(job.message() + "\0")),
    judged("a NUL and text behind", |job| line(job.message() + "\0more}}")),
    judged("blanks behind", |job| line(job.message() + " \t  \t")),
    judged("odd white space behind", |job| line(job.message() + "\x0b\x0c\x01")),
    judged("a mark of byte order before", |job| line(format!("\u{feff}{}", job.message()))),
    judged("control characters before", |job| line(format!("\x01\x02{}", job.message()))),
    judged("blanks before", |job| line(format!(" \t {}", job.message()))),
    noticed("a NUL before", |job| line(format!("\0{}", job.message()))),
    noticed("text before", |job| line(format!("xx{}", job.message()))),
    noticed("a list around", |job| line(format!("[{}]", job.message()))),
    noticed("a carriage return between two jobs", |job| {
        line(format!("{}\r{}", job.twin().message(), job.message()))
    }),
    noticed("only carriage returns", |job| format!("{}\r", job.message()).into_bytes()),
    noticed("the last brace is missing", |job| line(job.message().strip_suffix('}').unwrap())),
    judged("a byte that is no text", |job| replaced(&line_text(job, "\"x\":\"@\","), "@", b"\xff")),
    judged("half of a surrogate", |job| line_text(job, "\"x\":\"\\ud800\",").into_bytes()),
    judged("a control character in a text", |job| line_text(job, "\"x\":\"\x01\",").into_bytes()),
    noticed("a bare word for a value", |job| line_text(job, "\"x\":undefined,").into_bytes()),
];

/// A line with something at the beginning of its object.
fn line_text(job: &Job, inside: &str) -> String {
    job.line().replacen('{', &format!("{{{inside}"), 1)
}

/// Fields that are written otherwise.
pub const FIELDS: &[Form] = &[
    noticed("a blank behind coinb1", |job| changed(job, |job| job.coinb1.push(' '))),
    noticed("a blank before coinb1", |job| changed(job, |job| job.coinb1.insert(0, ' '))),
    noticed("a blank within coinb1", |job| changed(job, |job| job.coinb1.insert(20, ' '))),
    noticed("an escaped end of line behind coinb1", |job| changed(job, |job| job.coinb1.push_str("\\n"))),
    noticed("a NUL behind coinb1", |job| changed(job, |job| job.coinb1.push_str("\\u0000"))),
    noticed("0x before coinb1", |job| changed(job, |job| job.coinb1.insert_str(0, "0x"))),
    noticed("half a byte behind coinb1", |job| changed(job, |job| job.coinb1.push('0'))),
    noticed("other letters behind coinb1", |job| changed(job, |job| job.coinb1.push_str("zz"))),
    noticed("a blank behind coinb2", |job| changed(job, |job| job.coinb2.push(' '))),
    noticed("half a byte behind coinb2", |job| changed(job, |job| job.coinb2.push('0'))),
    noticed("more bytes behind coinb2", |job| changed(job, |job| job.coinb2.push_str("00"))),
    noticed("other letters within coinb2", |job| changed(job, |job| job.coinb2.insert_str(10, "zz"))),
    judged("capital hex digits", |job| changed(job, |job| job.coinb1.make_ascii_uppercase())),
    judged("an escaped hex digit", |job| changed(job, |job| job.coinb1.replace_range(0..1, "\\u0030"))),
    noticed("0x before the prevhash", |job| changed(job, |job| job.prevhash.insert_str(0, "0x"))),
    noticed("a blank behind the prevhash", |job| changed(job, |job| job.prevhash.push(' '))),
    noticed("a short prevhash", |job| changed(job, |job| job.prevhash.truncate(62))),
    noticed("0x before the version", |job| changed(job, |job| job.version.insert_str(0, "0x"))),
    noticed("a blank behind the nbits", |job| changed(job, |job| job.nbits.push(' '))),
    noticed("a blank behind the ntime", |job| changed(job, |job| job.ntime.insert(9, ' '))),
    noticed("no ntime", |job| changed(job, |job| job.ntime = "null".into())),
    judged("no branches but null", |job| changed(job, |job| job.branches = "null".into())),
    noticed("branches of text", |job| changed(job, |job| job.branches = "\"\"".into())),
    noticed("branches of an object", |job| changed(job, |job| job.branches = "{}".into())),
    noticed("branches in a list of their own", |job| changed(job, |job| job.branches = "[[]]".into())),
    noticed("a branch of half a byte more", |job| {
        changed(job, |job| job.branches = format!("[\"{}0\"]", "00".repeat(32)))
    }),
    noticed("a branch with a blank", |job| {
        changed(job, |job| job.branches = format!("[\"{} \"]", "00".repeat(32)))
    }),
    noticed("40 branches", |job| {
        changed(job, |job| {
            job.branches = format!("[{}]", vec![format!("\"{}\"", "00".repeat(32)); 40].join(","))
        })
    }),
    judged("clean_jobs is missing", |job| {
        let elements = job.elements();
        let (most, _) = elements.rsplit_once(',').unwrap();
        line(job.message().replacen(&elements, most, 1))
    }),
    judged("clean_jobs is null", |job| changed(job, |job| job.clean = "null".into())),
    judged("clean_jobs is a text", |job| changed(job, |job| job.clean = "\"yes\"".into())),
    judged("a tenth element", |job| changed(job, |job| job.clean = "false,\"more\"".into())),
    noticed("params as an object", |job| {
        line(format!("{{\"id\":null,\"method\":\"mining.notify\",\"params\":{{\"job\":{}}}}}", job.params()))
    }),
    noticed("params in a list of their own", |job| {
        line(format!("{{\"id\":null,\"method\":\"mining.notify\",\"params\":[{}]}}", job.params()))
    }),
    noticed("params as a text", |job| {
        let text = job.params().replace('"', "\\\"");
        line(format!("{{\"id\":null,\"method\":\"mining.notify\",\"params\":\"{text}\"}}"))
    }),
    noticed("params under another name", |job| line(job.message().replacen("\"params\"", "\"result\"", 1))),
];

/// Names of jobs.
pub const IDS: &[Form] = &[
    judged("a job id of 129 bytes", |job| changed(job, |job| job.id = format!("\"{}\"", "a".repeat(129)))),
    noticed("a job id of 1025 bytes", |job| changed(job, |job| job.id = format!("\"{}\"", "b".repeat(1025)))),
    noticed("a job id of 70,000 bytes", |job| {
        changed(job, |job| job.id = format!("\"{}\"", "c".repeat(70_000)))
    }),
    judged("a job id that is a number", |job| changed(job, |job| job.id = "17".into())),
    noticed("a job id that is a fraction", |job| changed(job, |job| job.id = "1.5e3".into())),
    noticed("a job id that is null", |job| changed(job, |job| job.id = "null".into())),
    noticed("a job id that is true", |job| changed(job, |job| job.id = "true".into())),
    noticed("a job id that is a list", |job| changed(job, |job| job.id = "[\"a\"]".into())),
    judged("an empty job id", |job| changed(job, |job| job.id = "\"\"".into())),
    judged("a job id with an escape", |job| changed(job, |job| job.id = "\"a\\u0062c\"".into())),
    noticed("a job id with half of a surrogate", |job| changed(job, |job| job.id = "\"a\\ud800\"".into())),
    noticed("a job id with a NUL", |job| changed(job, |job| job.id = "\"a\\u0000b\"".into())),
    noticed("a job id with bytes that are no text", |job| replaced(&job.line(), &job.id, b"\"\xff\xfe\"")),
];

/// Names of the method.
pub const METHODS: &[Form] = &[
    judged("Mining.Notify", |job| line(job.message_of("Mining.Notify"))),
    judged("MINING.NOTIFY", |job| line(job.message_of("MINING.NOTIFY"))),
    judged("mining.notify2", |job| line(job.message_of("mining.notify2"))),
    judged("mining.notify.v2", |job| line(job.message_of("mining.notify.v2"))),
    judged("a blank behind the method", |job| line(job.message_of("mining.notify "))),
    noticed("a blank before the method", |job| line(job.message_of(" mining.notify"))),
    judged("an escaped letter", |job| line(job.message_of("mining\\u002enotify"))),
    judged("escapes for all letters", |job| {
        let escaped: String = "mining.notify".bytes().map(|byte| format!("\\u{byte:04x}")).collect();
        line(job.message_of(&escaped))
    }),
    judged("a NUL behind the method", |job| line(job.message_of("mining.notify\\u0000more"))),
    noticed("a method in a list", |job| {
        line(job.message().replacen("\"mining.notify\"", "[\"mining.notify\"]", 1))
    }),
    judged("single quotes", |job| line(job.message().replace('"', "'"))),
    judged("keys without quotes", |job| {
        line(format!("{{id:null,method:\"mining.notify\",params:{}}}", job.params()))
    }),
    noticed("a method without quotes", |job| {
        line(job.message().replacen("\"mining.notify\"", "mining.notify", 1))
    }),
];

/// Long lines. The last ones are longer than anybody reads.
pub const LONG: &[Form] = &[
    judged("padding in an unknown key", |job| padded(job, 70_000)),
    judged("64 KiB and one byte", |job| padded(job, 64 * 1024 + 1)),
    judged("spaces between", |job| line(job.message().replacen(',', &format!(",{}", " ".repeat(70_000)), 1))),
    judged("spaces before", |job| line(format!("{}{}", " ".repeat(70_000), job.message()))),
    judged("spaces behind", |job| line(format!("{}{}", job.message(), " ".repeat(70_000)))),
    judged("1,200 outputs", |job| job.outputs(1200).line().into_bytes()),
    judged("900,000 bytes", |job| padded(job, 900_000)),
    judged("one byte less than 1 MiB", |job| padded(job, 1024 * 1024 - 1)),
    noticed("10 bytes more than 1 MiB", |job| padded(job, 1024 * 1024 + 10)),
    noticed("2 MiB", |job| padded(job, 2 * 1024 * 1024)),
];

/// A line of `length` bytes, without its end.
fn padded(job: &Job, length: usize) -> Vec<u8> {
    let missing = length - job.message().len() - "\"x\":\"\",".len();
    line_text(job, &format!("\"x\":\"{}\",", "p".repeat(missing))).into_bytes()
}

/// Jobs that each drop some miners.
pub const DROPPED: &[Form] = &[
    judged("usual", |job| job.line().into_bytes()),
    judged("an error beside", |job| line_text(job, "\"error\":[20,\"x\",null],").into_bytes()),
    judged("an id that no miner can hold", |job| {
        line(job.message().replacen("null", "18446744073709551616", 1))
    }),
    judged("a number that none can hold", |job| line_text(job, "\"x\":1e999,").into_bytes()),
    judged("a byte that is no text", |job| replaced(&line_text(job, "\"x\":\"@\","), "@", b"\xff")),
    judged("lists in lists", |job| {
        line_text(job, &format!("\"x\":{}{},", "[".repeat(12), "]".repeat(12))).into_bytes()
    }),
    judged("a job id that is a number", |job| changed(job, |job| job.id = "17".into())),
    judged("behind another message", |job| {
        format!("{{\"id\":null,\"method\":\"client.show_message\",\"params\":[\"x\"]}}\n{}", job.line())
            .into()
    }),
];

/// Every group of forms.
pub const ALL: [&[Form]; 7] = [USUAL, KEYS, AROUND, FIELDS, IDS, METHODS, LONG];
