//! Points of different systems: whether they promise the same, unless what varies says that they should not.

use plimsoll_results::{ComparedArm, SweepRow, durability_differences};

use super::factors::Point;
use crate::compare::equal::{self, Promise};
use crate::measure::plan::Plan;

/// Refuses points of different systems whose acknowledgements mean different things.
pub(super) fn refuse_unequal(points: &[(Point, Plan)]) -> anyhow::Result<()> {
    for systems in beside_each_other(points) {
        let sides: Vec<_> =
            systems.iter().map(|(point, plan)| (point.name.as_str(), Promise::Asked(plan))).collect();
        equal::refuse_unequal("points", &sides)?;
    }
    Ok(())
}

/// What to know of such points where they were measured all the same.
pub(super) fn notices(points: &[(Point, Plan)], rows: &[SweepRow]) -> Vec<String> {
    let measured = |point: &Point| {
        let row = rows.iter().find(|row| row.name == point.name && row.trials > 0)?;
        Some(ComparedArm {
            name: row.name.clone(),
            durability: row.durability.clone(),
            ..ComparedArm::default()
        })
    };
    let unequal = |systems: &Vec<&(Point, Plan)>| {
        let arms: Vec<ComparedArm> = systems.iter().filter_map(|(point, _)| measured(point)).collect();
        let (first, others) = arms.split_first()?;
        let differ: Vec<String> =
            others.iter().flat_map(|other| durability_differences(first, other)).collect();
        let differ = Some(differ.join("; ")).filter(|differ| !differ.is_empty())?;
        Some(format!("these systems do not promise the same, so their figures do not compare: {differ}"))
    };
    beside_each_other(points).iter().filter_map(unequal).collect()
}

/// The first point of each system, of those that are meant to promise the same; several systems in each group.
fn beside_each_other(points: &[(Point, Plan)]) -> Vec<Vec<&(Point, Plan)>> {
    let mut groups: Vec<Vec<&(Point, Plan)>> = Vec::new();
    for one in points {
        let (point, plan) = one;
        let alike = |group: &&mut Vec<&(Point, Plan)>| {
            group.first().is_some_and(|(first, _)| first.promise() == point.promise())
        };
        match groups.iter_mut().find(alike) {
            Some(group) if group.iter().any(|(_, other)| other.is_of_the_system_of(plan)) => {}
            Some(group) => group.push(one),
            None => groups.push(vec![one]),
        }
    }
    groups.retain(|systems| systems.len() > 1);
    groups
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::options::{Cli, Verb};
    use crate::sweep::request::Request;

    /// The names in each group.
    fn groups(arguments: &str) -> Vec<Vec<String>> {
        let words = ["plimsoll", "sweep", "hello"].into_iter().chain(arguments.split('|'));
        let Verb::Sweep(options) = Cli::try_parse_from(words).expect("a command line").verb else {
            unreachable!("sweep was asked for")
        };
        let request = Request::new(&options).expect("a request");
        let names =
            |systems: &Vec<&(Point, Plan)>| systems.iter().map(|(point, _)| point.name.clone()).collect();
        beside_each_other(&request.points).iter().map(names).collect()
    }

    #[test]
    fn systems_are_compared_where_nothing_that_varies_changes_their_promise() {
        let none: Vec<Vec<String>> = Vec::new();
        assert_eq!(groups("--vary|acks=1,all|--vary|backend=page-cache,mmap"), none, "one system");
        let beside = "--vary|target=plimsoll,null|--vary|acks=1,all|--vary|codec=none,lz4";
        assert_eq!(groups(beside), [["base", "target=null"]], "acks=all is meant to promise more");
        let crossed = "--vary|target=plimsoll,null|--vary|acks=1,all|--vary|codec=none,lz4|--cross";
        assert_eq!(groups(crossed), [["base", "target=null"], ["acks=all", "target=null acks=all"]]);
    }
}
