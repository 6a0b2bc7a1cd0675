//! Reading `tests/data/vectors.json`.

use serde_json::Value;
use serde_json::value::RawValue;
use sluice::work::AddressChain;

/// How far a computed number may be from the expected one, relatively.
const TOLERANCE: f64 = 1e-9;

/// One of the lists, which must have something in it.
pub fn list(key: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("../data/vectors.json")).unwrap();
    let list = all[key].as_array().unwrap().clone();
    assert!(!list.is_empty(), "there are no {key}");
    list
}

/// The jobs of real pools.
pub fn real_notifies() -> Vec<Value> {
    let lines = include_str!("../data/real_notifies.jsonl").lines();
    let jobs: Vec<Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(!jobs.is_empty(), "there are no jobs");
    jobs
}

/// Says how many entries ran, and fails when that is not all of them.
pub fn all_ran(name: &str, entries: &[Value], ran: usize) {
    println!("{name}: {ran} of {}", entries.len());
    assert_eq!(ran, entries.len(), "{name}");
    assert!(ran > 0, "{name}");
}

pub fn text<'a>(vector: &'a Value, key: &str) -> &'a str {
    vector[key].as_str().unwrap_or_else(|| panic!("{key} is no text in {vector}"))
}

/// Compares with the vector's `key`, when it has one.
pub fn expect(vector: &Value, key: &str, computed: &str) {
    if let Some(expected) = vector.get(key).and_then(Value::as_str) {
        assert_eq!(computed, expected, "{key} of {}", vector.get("name").unwrap_or(&Value::Null));
    }
}

pub fn close(computed: f64, expected: f64, name: &str) {
    assert!((computed / expected - 1.0).abs() < TOLERANCE, "{name}: {computed} instead of {expected}");
}

/// `value` as the JSON text a peer would send.
pub fn read_json(value: &Value) -> Box<RawValue> {
    RawValue::from_string(value.to_string()).unwrap()
}

pub fn chain(network: &str) -> AddressChain {
    match network {
        "mainnet" => AddressChain::Mainnet,
        "testnet" => AddressChain::Testnet,
        "regtest" => AddressChain::Regtest,
        other => panic!("unknown network {other}"),
    }
}
