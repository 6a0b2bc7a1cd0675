//! The recorded conversations in `tests/data/captures`.

use std::path::{Path, PathBuf};

/// The sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    Miner,
    Pool,
}

/// Bytes of one read of the recording: one or more lines, as they were on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    pub from: From,
    pub bytes: Vec<u8>,
}

/// One connection of a recording, in its order.
#[derive(Debug)]
pub struct Conversation {
    pub connection: u64,
    pub pieces: Vec<Piece>,
}

pub fn files() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/captures");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 8, "the captures are missing");
    files
}

pub fn read(file: &Path) -> Vec<Conversation> {
    let mut conversations: Vec<Conversation> = Vec::new();
    let mut last_read = None;
    for row in std::fs::read_to_string(file).unwrap().lines() {
        let row: serde_json::Value = serde_json::from_str(row).unwrap();
        let connection = row["conn"].as_u64().unwrap();
        let from = match row["dir"].as_str().unwrap() {
            "miner>pool" => From::Miner,
            "pool>miner" => From::Pool,
            _ => continue,
        };
        let line = [row["line"].as_str().unwrap().as_bytes(), b"\n"].concat();
        let conversation = match conversations.iter_mut().find(|known| known.connection == connection) {
            Some(known) => known,
            None => {
                conversations.push(Conversation { connection, pieces: Vec::new() });
                conversations.last_mut().unwrap()
            }
        };
        let this_read = Some((connection, from == From::Miner, row["read"].clone()));
        match conversation.pieces.last_mut() {
            Some(piece) if this_read == last_read => piece.bytes.extend(line),
            _ => conversation.pieces.push(Piece { from, bytes: line }),
        }
        last_read = this_read;
    }
    conversations
}
