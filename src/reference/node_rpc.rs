//! A Bitcoin node's JSON-RPC: its requests, and the parsing of its answers.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::stratum::{Nbits, PrevHash, decode_hex};
use crate::util::escape::line_text;
use crate::work::{BlockHash, Height, prevhash_of};

/// Keeps a node's own words in a message short.
const MAX_QUOTED_CHARS: usize = 200;
/// `RPC_IN_WARMUP` (Bitcoin Core, `src/rpc/protocol.h`): the node is starting and loads its index.
const IN_WARMUP: i64 = -28;

/// The fields of `getblockchaininfo` that are used.
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

/// The field of `getblockheader` that is used.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct HeaderInfo {
    bits: String,
}

/// A node's newest block, and the work on top of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct NodeTip {
    /// The height of the block to be found.
    pub(super) height: Height,
    pub(super) prevhash: PrevHash,
    /// The newest block's hash, as block explorers and the node itself write it.
    pub(super) best_hash: String,
    pub(super) nbits: Option<Nbits>,
    /// Set while the node still downloads the chain, so that its tip does not count: the progress, in words.
    pub(super) loading: Option<String>,
}

/// The JSON of one request.
pub(super) fn request_body(method: &str, params: &[&str]) -> String {
    json!({ "jsonrpc": "1.0", "id": "sluice", "method": method, "params": params }).to_string()
}

/// Parses the answer to a request whose login was accepted.
///
/// # Errors
/// The fault in words, and what to do about it.
pub(super) fn parse_response<R: DeserializeOwned>(status: u16, body: &[u8]) -> Result<R, String> {
    #[derive(Deserialize)]
    struct RpcResponse {
        #[serde(default)]
        result: Value,
        #[serde(default)]
        error: Value,
    }

    // An error has its reason in the body, whatever the HTTP status.
    let response = serde_json::from_slice::<RpcResponse>(body);
    match (status, response) {
        (_, Ok(RpcResponse { error, .. })) if !error.is_null() => Err(rpc_error(&error)),
        (200..=299, Ok(RpcResponse { result, .. })) => serde_json::from_value(result)
            .map_err(|_| String::from("its answer lacks what is needed: is this a Bitcoin node's JSON-RPC?")),
        (200..=299, Err(_)) => {
            Err(String::from("its answer is not JSON: is this a Bitcoin node's JSON-RPC?"))
        }
        (403, _) => Err(String::from(
            "it rejects requests from this machine (403): check its rpcallowip and rpcwhitelist",
        )),
        (404, _) => Err(String::from("there is no JSON-RPC at this path (404): check reference.node")),
        (503, _) => Err(String::from("it is overloaded (503): check its rpcworkqueue")),
        _ => Err(format!("it answered {status}")),
    }
}

fn rpc_error(error: &Value) -> String {
    let message = error.get("message").and_then(Value::as_str).unwrap_or("without a reason");
    let message = line_text(message, MAX_QUOTED_CHARS);
    match error.get("code").and_then(Value::as_i64) {
        Some(IN_WARMUP) => format!("it is starting: {message}"),
        Some(code) => format!("it refuses: {message} ({code})"),
        None => format!("it refuses: {message}"),
    }
}

impl ChainInfo {
    /// Reads the node's tip.
    ///
    /// # Errors
    /// A field has an invalid value.
    pub(super) fn tip(self) -> Result<NodeTip, String> {
        let best = block_hash(&self.bestblockhash).ok_or("its bestblockhash is not a hash")?;
        let height = self.blocks.checked_add(1).ok_or("its number of blocks is impossible")?;
        let nbits = self.bits.as_deref().map(nbits).transpose()?;
        let loading = self.initialblockdownload.then(|| {
            format!(
                "it is still downloading the chain, block {} of {}; its blocks are used once it has finished",
                self.blocks, self.headers
            )
        });
        Ok(NodeTip {
            height: Height(height),
            prevhash: prevhash_of(&best),
            best_hash: best.to_string(),
            nbits,
            loading,
        })
    }
}

impl HeaderInfo {
    /// # Errors
    /// The field is not a valid nbits.
    pub(super) fn nbits(&self) -> Result<Nbits, String> {
        nbits(&self.bits)
    }
}

fn nbits(text: &str) -> Result<Nbits, String> {
    Nbits::from_text(text).map_err(|why| format!("in its response, {why}"))
}

/// Parses a hash in its display form, which has the reverse byte order.
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
        parse_response::<ChainInfo>(200, body.as_bytes()).and_then(ChainInfo::tip)
    }

    #[test]
    fn the_next_block_is_one_above_the_newest() {
        let tip = info(",\"bits\":\"17023a04\",\"chain\":\"main\"").unwrap();
        assert_eq!((tip.height, tip.nbits), (Height(900_001), Some(Nbits(0x1702_3a04))));
        assert_eq!(crate::work::parent_hash(&tip.prevhash).to_string(), BEST);
        assert_eq!((tip.best_hash.as_str(), tip.loading), (BEST, None));
        assert_eq!(info("").unwrap().nbits, None);
        let loading = info(",\"initialblockdownload\":true,\"headers\":900100").unwrap().loading.unwrap();
        assert!(loading.contains("block 900000 of 900100"), "{loading}");
    }

    #[test]
    fn errors_say_what_to_check() {
        for (status, body, said) in [
            (200, "<html>", "not JSON"),
            (200, "[]", "lacks what is needed"),
            (200, r#"{"result":null,"error":null}"#, "lacks what is needed"),
            (200, r#"{"result":{"blocks":-1,"bestblockhash":""}}"#, "lacks what is needed"),
            (200, r#"{"result":{"blocks":1,"bestblockhash":"00"}}"#, "bestblockhash is not a hash"),
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
            let why =
                parse_response::<ChainInfo>(status, body.as_bytes()).and_then(ChainInfo::tip).unwrap_err();
            assert!(why.contains(said), "{body}: {why}");
        }
        let most = format!("{{\"result\":{{\"blocks\":{},\"bestblockhash\":\"{BEST}\"}}}}", u32::MAX);
        assert!(parse_response::<ChainInfo>(200, most.as_bytes()).and_then(ChainInfo::tip).is_err());
        assert!(info(",\"bits\":\"zz\"").is_err());
    }
}
