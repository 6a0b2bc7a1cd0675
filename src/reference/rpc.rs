//! A Bitcoin node's JSON-RPC: what is asked, and how the answers are read.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::stratum::{Nbits, PrevHash, decode_hex};
use crate::util::escape::line_text;
use crate::work::{BlockHash, Height, prevhash_of};

/// Of a node's own words, in characters.
const MOST_TEXT: usize = 200;
/// `RPC_IN_WARMUP` (Bitcoin Core, `src/rpc/protocol.h`): it loads its index.
const IN_WARMUP: i64 = -28;

/// What `getblockchaininfo` says, as far as it is used.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct ChainInfo {
    blocks: u32,
    #[serde(default)]
    headers: u32,
    bestblockhash: String,
    /// Since Bitcoin Core 29.
    bits: Option<String>,
    #[serde(default)]
    initialblockdownload: bool,
}

/// What `getblockheader` says, as far as it is used.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct HeaderInfo {
    bits: String,
}

/// What a node stands on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct NodeTip {
    /// Of the block to be found.
    pub(super) height: Height,
    pub(super) prevhash: PrevHash,
    /// As block explorers and the node itself write it.
    pub(super) best: String,
    pub(super) nbits: Option<Nbits>,
    /// What is to be done before its word counts: it loads the chain.
    pub(super) loading: Option<String>,
}

/// One question.
pub(super) fn question(method: &str, params: &[&str]) -> String {
    json!({ "jsonrpc": "1.0", "id": "sluice", "method": method, "params": params }).to_string()
}

/// Reads the answer to a question that was not refused for its login.
///
/// # Errors
/// In words, with what can be done.
pub(super) fn read<R: DeserializeOwned>(status: u16, body: &[u8]) -> Result<R, String> {
    #[derive(Deserialize)]
    struct RpcAnswer {
        #[serde(default)]
        result: Value,
        #[serde(default)]
        error: Value,
    }

    // A refusal has its reason in the body, whatever its status.
    let answer = serde_json::from_slice::<RpcAnswer>(body);
    match (status, answer) {
        (_, Ok(RpcAnswer { error, .. })) if !error.is_null() => Err(refusal(&error)),
        (200..=299, Ok(RpcAnswer { result, .. })) => serde_json::from_value(result)
            .map_err(|_| String::from("its answer lacks what is needed: is this a Bitcoin node's JSON-RPC?")),
        (200..=299, Err(_)) => Err(String::from("its answer is no JSON: is this a Bitcoin node's JSON-RPC?")),
        (403, _) => {
            Err(String::from("it lets nobody in from here (403): see its rpcallowip and rpcwhitelist"))
        }
        (404, _) => Err(String::from("there is no JSON-RPC at this path (404): see reference.node")),
        (503, _) => Err(String::from("it has too much to do (503): see its rpcworkqueue")),
        _ => Err(format!("it answered {status}")),
    }
}

fn refusal(error: &Value) -> String {
    let message = error.get("message").and_then(Value::as_str).unwrap_or("without a reason");
    let message = line_text(message, MOST_TEXT);
    match error.get("code").and_then(Value::as_i64) {
        Some(IN_WARMUP) => format!("it is starting: {message}"),
        Some(code) => format!("it refuses: {message} ({code})"),
        None => format!("it refuses: {message}"),
    }
}

impl ChainInfo {
    /// What that means.
    ///
    /// # Errors
    /// When a number or hash is none.
    pub(super) fn standing(self) -> Result<NodeTip, String> {
        let best = block_hash(&self.bestblockhash).ok_or("its bestblockhash is no hash")?;
        let height = self.blocks.checked_add(1).ok_or("its number of blocks can't be")?;
        let nbits = self.bits.as_deref().map(nbits).transpose()?;
        let loading = self.initialblockdownload.then(|| {
            format!(
                "it is still loading the chain, block {} of {}; its word counts when it is done",
                self.blocks, self.headers
            )
        });
        Ok(NodeTip {
            height: Height(height),
            prevhash: prevhash_of(&best),
            best: best.to_string(),
            nbits,
            loading,
        })
    }
}

impl HeaderInfo {
    /// # Errors
    /// When they are none.
    pub(super) fn nbits(&self) -> Result<Nbits, String> {
        nbits(&self.bits)
    }
}

fn nbits(text: &str) -> Result<Nbits, String> {
    Nbits::from_text(text).map_err(|why| format!("in its answer, {why}"))
}

/// From the form that people read.
fn block_hash(text: &str) -> Option<BlockHash> {
    let mut bytes: [u8; 32] = decode_hex("bestblockhash", text).ok()?.try_into().ok()?;
    bytes.reverse();
    Some(BlockHash::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEST: &str = "00000000000000000001a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f7";

    fn info(more: &str) -> Result<NodeTip, String> {
        let body =
            format!("{{\"result\":{{\"blocks\":900000,\"bestblockhash\":\"{BEST}\"{more}}},\"error\":null}}");
        read::<ChainInfo>(200, body.as_bytes()).and_then(ChainInfo::standing)
    }

    #[test]
    fn the_next_block_is_one_above_the_newest() {
        let standing = info(",\"bits\":\"17023a04\",\"chain\":\"main\"").unwrap();
        assert_eq!((standing.height, standing.nbits), (Height(900_001), Some(Nbits(0x1702_3a04))));
        assert_eq!(crate::work::parent_hash(&standing.prevhash).to_string(), BEST);
        assert_eq!((standing.best.as_str(), standing.loading), (BEST, None));
        assert_eq!(info("").unwrap().nbits, None);
        let loading = info(",\"initialblockdownload\":true,\"headers\":900100").unwrap().loading.unwrap();
        assert!(loading.contains("block 900000 of 900100"), "{loading}");
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (status, body, said) in [
            (200, "<html>", "no JSON"),
            (200, "[]", "lacks what is needed"),
            (200, r#"{"result":null,"error":null}"#, "lacks what is needed"),
            (200, r#"{"result":{"blocks":-1,"bestblockhash":""}}"#, "lacks what is needed"),
            (200, r#"{"result":{"blocks":1,"bestblockhash":"00"}}"#, "bestblockhash is no hash"),
            (403, "", "rpcallowip"),
            (404, "", "reference.node"),
            (503, "Work queue depth exceeded", "rpcworkqueue"),
            (418, "", "it answered 418"),
            (
                500,
                r#"{"result":null,"error":{"code":-28,"message":"Loading\u001b[2J…"}}"#,
                "it is starting: Loading\\u{1b}[2J",
            ),
            (200, r#"{"error":{"code":-1,"message":"no"}}"#, "it refuses: no (-1)"),
            (200, r#"{"error":"what"}"#, "without a reason"),
        ] {
            let why = read::<ChainInfo>(status, body.as_bytes()).and_then(ChainInfo::standing).unwrap_err();
            assert!(why.contains(said), "{body}: {why}");
        }
        let most = format!("{{\"result\":{{\"blocks\":{},\"bestblockhash\":\"{BEST}\"}}}}", u32::MAX);
        assert!(read::<ChainInfo>(200, most.as_bytes()).and_then(ChainInfo::standing).is_err());
        assert!(info(",\"bits\":\"zz\"").is_err());
    }
}
