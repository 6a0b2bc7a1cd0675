//! Shares in every form that miners were seen to write, and the one form that the pool gets (wire
//! reference, section 5.4, 31 and 32).

use serde_json::{Value, json};

use crate::aggregate::opened::{EASY, mining};
use crate::aggregate::share_search::{Field, params};

#[test]
fn the_pool_gets_eight_digits_whatever_the_miner_writes() {
    let (_pool, _site, mut line, mut end) = mining("", "acct.one");
    let mut field = Field::of(&line, 1);
    let mut expect = |change: &dyn Fn(&mut Vec<Value>)| {
        let plain = params(&field.at_least(EASY));
        let mut written = plain.as_array().unwrap().clone();
        change(&mut written);
        line.ask("s", "mining.submit", json!(written));
        // A refusal comes at once, a share to the pool does not.
        let arrived = end.share();
        assert_eq!(arrived["params"].as_array().unwrap()[1..5].len(), 4);
        for place in 2..5 {
            let (got, sent) = (arrived["params"][place].as_str().unwrap(), &written[place]);
            let suffix = plain[place].as_str().unwrap();
            assert!(got.ends_with(suffix) && (place == 2 || got == suffix), "{sent} became {got}");
        }
        assert_eq!(arrived["params"][5], "00000000", "{written:?}");
        end.answer(&arrived, json!(true));
        assert_eq!(line.answer("s")["result"], true, "{written:?}");
    };
    for sixth in
        [json!(null), json!(""), json!("0x00000000"), json!("0"), json!(0), json!("0000000000000000")]
    {
        expect(&|written| written.push(sixth.clone()));
    }
    expect(&|written| written[4] = json!(format!("0x{}", written[4].as_str().unwrap())));
    expect(&|written| written[4] = json!(format!("0X{}", written[4].as_str().unwrap().to_uppercase())));
    expect(&|written| written[4] = json!(format!("00000000{}", written[4].as_str().unwrap())));
    expect(&|written| written[3] = json!(format!("0x0{}", written[3].as_str().unwrap())));
}
