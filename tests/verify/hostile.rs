//! Pools that mean harm: everything stays bounded, and nothing reaches the terminal as it came.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use super::{verify, watch};

/// A pool that answers the opening of each connection and then does as it likes.
fn hostile(speak: impl Fn(&mut TcpStream) -> std::io::Result<()> + Send + 'static) -> String {
    with_errors("null", speak)
}

/// The same, with this beside its good answers.
fn with_errors(
    error: &'static str,
    speak: impl Fn(&mut TcpStream) -> std::io::Result<()> + Send + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            // Its end is the client's doing.
            let _ = open(&mut stream, error).and_then(|()| speak(&mut stream));
            // What was said is lost when a socket closes before it has read everything.
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        }
    });
    format!("stratum+tcp://{address}")
}

fn open(stream: &mut TcpStream, error: &str) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    for line in lines.by_ref() {
        let line = line?;
        if line.contains("mining.subscribe") {
            let rolling = "{\"version-rolling\":true,\"version-rolling.mask\":\"1fffe000\"}";
            let answers = format!(
                "{{\"id\":1,\"result\":{rolling},\"error\":{error}}}\n\
                 {{\"id\":2,\"result\":[[],\"00000001\",8],\"error\":{error}}}\n"
            );
            stream.write_all(answers.as_bytes())?;
        }
        if line.contains("mining.authorize") {
            let answer = format!("{{\"id\":3,\"result\":true,\"error\":{error}}}\n");
            return stream.write_all(answer.as_bytes());
        }
    }
    Ok(())
}

/// A job that pays nobody, with this text as its tag.
fn job(tag: &[u8]) -> String {
    paying("0151", tag)
}

/// A job that pays this script, which its length is before.
fn paying(script: &str, tag: &[u8]) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let coinb1 =
        format!("0100000001{}ffffffff{:02x}0369c10e{}", "00".repeat(32), 4 + tag.len() + 12, hex(tag));
    let coinb2 = format!("ffffffff01{}{script}00000000", "00f2052a01000000");
    format!(
        "{{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"a\",\"{}\",\"{coinb1}\",\"{coinb2}\",[],\
         \"20000000\",\"17023a04\",\"{:08x}\",true]}}\n",
        "00".repeat(32),
        jiff::Timestamp::now().as_second()
    )
}

#[test]
fn an_endless_line_ends_the_watch() {
    let url = hostile(|stream| {
        let piece = [b'x'; 65536];
        loop {
            stream.write_all(&piece)?;
        }
    });
    let start = Instant::now();
    watch(&url, 600).expect(2).has("a line of more than 1 MiB");
    assert!(start.elapsed() < Duration::from_secs(300), "{:?}", start.elapsed());
}

#[test]
fn a_flood_of_jobs_ends_the_watch() {
    let url = hostile(|stream| {
        // It pays whom it should, or the watch would end for that.
        let many = paying("160014751e76e8199196d454941c45d1b3a323f1433bd6", b"flood").repeat(256);
        loop {
            stream.write_all(many.as_bytes())?;
        }
    });
    let start = Instant::now();
    let output = watch(&url, 600).expect(2).has("the pool sent more than ");
    assert!(output.out.lines().count() < 100, "{}", output.out);
    assert!(start.elapsed() < Duration::from_secs(300), "{:?}", start.elapsed());
}

#[test]
fn an_empty_error_beside_an_answer_is_none() {
    for error in ["[]", "{}", "\"\"", "false"] {
        let url = with_errors(error, |stream| stream.write_all(job(b"/tag/").as_bytes()));
        let output = verify(&url).has("/tag/").has("1fffe000");
        assert!(!output.out.contains("refused"), "{error}: {}", output.out);
    }
}

#[test]
fn a_method_beside_an_answer_makes_it_no_request() {
    let beside = "null,\"method\":\"mining.anything\"";
    let url = with_errors(beside, |stream| {
        stream.write_all(job(b"/tag/").as_bytes())?;
        // Whatever it asks for is an answer to an answer.
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        while let Some(Ok(line)) = lines.next() {
            if line.contains("Not supported") {
                let question = "{\"method\":\"client.show_message\",\"params\":[\"what?\"]}\n";
                stream.write_all(question.as_bytes())?;
            }
        }
        Ok(())
    });
    let output = verify(&url).expect(1).has("/tag/").has("1fffe000");
    output.has_not("what?").has("0.00015 ignored");
}

#[test]
fn garbage_is_counted_and_shown_escaped() {
    let url = hostile(|stream| {
        stream.write_all(b"\x1b[2J\x07\xff\xfe words\n[1,2]\n{\"method\":5}\n{\"id\":null,\"method\":\"mining.notify\",\"params\":{}}\n")?;
        stream.write_all(
            b"{\"id\":null,\"method\":\"client.show_message\",\"params\":[\"\\u001b[31mred\\u202e\"]}\n",
        )?;
        stream.write_all(
            b"{\"id\":null,\"method\":\"client.reconnect\",\"params\":[\"evil.example\\u0007\",3333]}\n",
        )
    });
    let output = verify(&url).expect(2).has("lines were not Stratum").has("1 job could not be read");
    let output =
        output.has("the pool says: \\u{1b}[31mred\\u{202e}").has("to another host: evil.example\\u{7}:3333");
    assert!(output.out.chars().all(|c| c == '\n' || !c.is_control()), "{:?}", output.out);
}

#[test]
fn a_tag_can_t_command_the_terminal() {
    let url = hostile(|stream| stream.write_all(job(b"\x1b]0;gotcha\x07 tag \x9b31m").as_bytes()));
    let output = verify(&url).expect(1).has("gotcha");
    assert!(output.out.chars().all(|c| c == '\n' || !c.is_control()), "{:?}", output.out);
}

/// A NerdMiner takes what has come within a second for a line.
#[test]
fn a_job_in_two_pieces_is_none_for_a_nerdminer() {
    let url = hostile(|stream| {
        let job = job(b"pieces");
        let (first, second) = job.split_at(job.len() / 2);
        stream.write_all(first.as_bytes())?;
        // The pause is what is tested.
        std::thread::sleep(Duration::from_millis(1200));
        stream.write_all(second.as_bytes())
    });
    verify(&url).has("pieces").has("1 job came in pieces more than a second apart");
}
