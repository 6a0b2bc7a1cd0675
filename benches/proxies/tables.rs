//! Markdown tables of a run: one a scenario, one line a contender.

use std::collections::{BTreeMap, BTreeSet};

use super::common::{median, print_table, quartiles};
use super::runs::Turn;

/// The contender that the others are compared with.
const DIRECT: &str = "direct";
const RIVAL: &str = "haproxy";

/// Microseconds after which shares that leave are late. If 1 in 100 is, the row says so, for its delays are partly the
/// generator's.
const LATE: f64 = 1000.0;
const LATE_MARK: &str = " *";
const LATE_NOTE: &str =
    "\\* The load generator was late: 1 in 100 shares left a millisecond or more after it was due.";

/// A column: its head, the figure, and what is shown of it.
struct Column(&'static str, &'static str, Shown);

#[derive(Clone, Copy)]
enum Shown {
    /// The median of the rounds.
    Median,
    /// The median of the differences to the direct line of the same round.
    Added,
    /// The ratio to haproxy's of the same round: the median and, in parentheses, the quartiles.
    Ratio,
    /// [`Shown::Ratio`] of what is added to the direct line of the same round.
    AddedRatio,
}

/// In this order. A table has those of which it has figures.
const COLUMNS: &[Column] = &[
    Column("first", "first", Shown::Median),
    Column("p50", "p50", Shown::Median),
    Column("p90", "p90", Shown::Median),
    Column("p99", "p99", Shown::Median),
    Column("p99.9", "p99.9", Shown::Median),
    Column("last", "last", Shown::Median),
    Column("last / haproxy", "last", Shown::Ratio),
    Column("added p50", "p50", Shown::Added),
    Column("added p99", "p99", Shown::Added),
    Column("added p50 / haproxy", "p50", Shown::AddedRatio),
    Column("added p99 / haproxy", "p99", Shown::AddedRatio),
    Column("shares/s", "rate", Shown::Median),
    Column("shares/s / haproxy", "rate", Shown::Ratio),
    Column("CPU µs", "cpu", Shown::Median),
    Column("CPU / haproxy", "cpu", Shown::Ratio),
    Column("wake-ups", "wakeups", Shown::Median),
    Column("preempted", "preempted", Shown::Median),
    Column("calls", "calls", Shown::Median),
    Column("KiB a miner", "resident", Shown::Median),
    Column("KiB a miner / haproxy", "resident", Shown::Ratio),
    Column("MiB before", "before", Shown::Median),
    Column("MiB after", "after", Shown::Median),
    Column("late p50", "late50", Shown::Median),
    Column("late p99", "late99", Shown::Median),
    Column("lost", "lost", Shown::Median),
    Column("refused", "refused", Shown::Median),
];

/// A scenario's turns.
struct Scenario<'a> {
    cpus: usize,
    name: &'a str,
    /// In the order of the first round, which begins with the first contender. Later rounds rotate.
    contenders: Vec<(&'a str, Rounds<'a>)>,
}

/// A contender's figures in a scenario, by round.
type Rounds<'a> = BTreeMap<usize, &'a Turn>;

/// Prints the tables of all scenarios, and the summaries.
pub fn print(turns: &[Turn]) {
    let scenarios = scenarios(turns);
    scenarios.iter().for_each(print_scenario);
    print_summary(turns);
}

/// Prints the table of the scenario that was measured last.
pub fn print_last(turns: &[Turn]) {
    scenarios(turns).last().into_iter().for_each(print_scenario);
}

/// Prints a table for each number of CPUs, with a line for each scenario.
pub fn print_summary(turns: &[Turn]) {
    let all = scenarios(turns);
    for cpus in all.iter().map(|one| one.cpus).collect::<BTreeSet<usize>>().into_iter().rev() {
        let own: Vec<&Scenario> =
            all.iter().filter(|one| one.cpus == cpus && one.find(DIRECT).is_some()).collect();
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in own.iter().flat_map(|one| &one.contenders).filter(|(name, _)| *name != DIRECT) {
            if !names.contains(name) {
                names.push(name);
            }
        }
        let rows: Vec<Vec<String>> = own.iter().map(|scenario| scenario.summary(&names)).collect();
        println!("\n### Summary, {}: added µs at p50 / added µs at p99 / CPU µs a message\n", plural(cpus));
        print_table(&[&[""], names.as_slice()].concat(), &rows);
    }
}

fn scenarios(turns: &[Turn]) -> Vec<Scenario<'_>> {
    let mut scenarios: Vec<Scenario> = Vec::new();
    for turn in turns {
        let (cpus, name) = (turn.cpus, turn.scenario.as_str());
        let place = scenarios.iter().position(|one| one.cpus == cpus && one.name == name);
        let place = place.unwrap_or_else(|| {
            scenarios.push(Scenario { cpus, name, contenders: Vec::new() });
            scenarios.len() - 1
        });
        let contenders = &mut scenarios[place].contenders;
        match contenders.iter_mut().find(|(name, _)| *name == turn.contender) {
            Some((_, rounds)) => drop(rounds.insert(turn.round, turn)),
            None => contenders.push((&turn.contender, Rounds::from([(turn.round, turn)]))),
        }
    }
    scenarios
}

fn print_scenario(scenario: &Scenario) {
    let contenders = &scenario.contenders;
    let mut head = vec![""];
    let mark = |rounds: &Rounds| if is_late(rounds) { LATE_MARK } else { "" };
    let mut rows: Vec<Vec<String>> =
        contenders.iter().map(|(name, rounds)| vec![format!("{name}{}", mark(rounds))]).collect();
    for column in COLUMNS {
        let cells: Vec<Option<String>> =
            contenders.iter().map(|(name, rounds)| column.cell(scenario, name, rounds)).collect();
        if cells.iter().any(Option::is_some) {
            head.push(column.0);
            for (row, cell) in rows.iter_mut().zip(cells) {
                row.push(cell.unwrap_or_default());
            }
        }
    }
    let rounds = contenders.iter().map(|(_, rounds)| rounds.len()).max().unwrap_or(0);
    println!("\n### {}; {}, {rounds} rounds\n", scenario.name, plural(scenario.cpus));
    print_table(&head, &rows);
    if contenders.iter().any(|(_, rounds)| is_late(rounds)) {
        println!("\n{LATE_NOTE}");
    }
}

fn plural(cpus: usize) -> String {
    format!("{cpus} CPU{}", if cpus == 1 { "" } else { "s" })
}

fn is_late(rounds: &Rounds) -> bool {
    let late: Vec<f64> = rounds.values().filter_map(|turn| turn.figures.get("late99").copied()).collect();
    !late.is_empty() && median(late) > LATE
}

impl Scenario<'_> {
    fn find(&self, contender: &str) -> Option<&Rounds<'_>> {
        self.contenders.iter().find(|(name, _)| *name == contender).map(|(_, rounds)| rounds)
    }

    /// The line of a summary: a cell for each of these contenders.
    fn summary(&self, names: &[&str]) -> Vec<String> {
        let name: Vec<&str> = self.name.splitn(3, ',').take(2).collect();
        let cell = |name: &&str| {
            let rounds = self.find(name)?;
            let figures = [("p50", Shown::Added), ("p99", Shown::Added), ("cpu", Shown::Median)];
            let figures = figures.map(|(figure, shown)| Column("", figure, shown).cell(self, name, rounds));
            Some(figures.map(Option::unwrap_or_default).join(" / "))
        };
        let cells = names.iter().map(|name| cell(name).unwrap_or_default());
        [name.join(",")].into_iter().chain(cells).collect()
    }
}

impl Column {
    fn cell(&self, scenario: &Scenario, name: &str, own: &Rounds) -> Option<String> {
        let (direct, rival) = (scenario.find(DIRECT), scenario.find(RIVAL));
        let figure = |turn: &Turn| turn.figures.get(self.1).copied();
        let at = |rounds: Option<&Rounds>, round: &usize| rounds?.get(round).and_then(|turn| figure(turn));
        let each =
            |value: &dyn Fn(&usize) -> Option<f64>| -> Vec<f64> { own.keys().filter_map(value).collect() };
        let own_at = |round: &usize| at(Some(own), round);
        let added = |rounds, round: &usize| Some(at(rounds, round)? - at(direct, round)?);
        let is_compared = name != DIRECT && name != RIVAL;
        match self.2 {
            Shown::Median => show(each(&own_at), "").filter(|_| self.is_worth_a_column(own)),
            Shown::Added if name == DIRECT => None,
            Shown::Added => show(each(&|round| added(Some(own), round)), "+"),
            Shown::Ratio if is_compared => {
                show_ratio(each(&|round| ratio(own_at(round)?, at(rival, round)?)))
            }
            Shown::AddedRatio if is_compared => {
                show_ratio(each(&|round| ratio(added(Some(own), round)?, added(rival, round)?)))
            }
            Shown::Ratio | Shown::AddedRatio => None,
        }
    }

    /// False for a count of faults that is zero, as it should be.
    fn is_worth_a_column(&self, own: &Rounds) -> bool {
        !matches!(self.1, "lost" | "refused")
            || own.values().any(|turn| turn.figures.get(self.1) > Some(&0.0))
    }
}

/// The ratio, if there is one: what noise has made negative is no part of anything.
fn ratio(own: f64, rival: f64) -> Option<f64> {
    (rival > 0.0).then(|| own / rival)
}

fn show(values: Vec<f64>, sign: &str) -> Option<String> {
    if values.is_empty() {
        return None;
    }
    let value = median(values);
    let sign = if value < 0.0 { "" } else { sign };
    Some(match value.abs() {
        1000.0.. => format!("{sign}{value:.0}"),
        10.0.. => format!("{sign}{value:.1}"),
        _ => format!("{sign}{value:.2}"),
    })
}

fn show_ratio(values: Vec<f64>) -> Option<String> {
    if values.is_empty() {
        return None;
    }
    let [low, high] = quartiles(&values);
    Some(format!("{:.2} ({low:.2}–{high:.2})", median(values)))
}
