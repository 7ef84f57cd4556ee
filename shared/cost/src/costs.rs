//! What each kind of work costs: the table `tests/costs.csv`.

use sirocco::image::architecture::Operation;
use std::sync::LazyLock;

const TABLE: &str = include_str!("../../../tests/costs.csv");

static COSTS: LazyLock<[Costs; 2]> = LazyLock::new(|| Processor::ALL.map(|processor| Costs::parse(TABLE, processor)));

/// The inner loops that do the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Processor {
    /// [`sirocco::layer::kernel::Portable`] on any Cortex-M4 or M3.
    Portable,
    /// The DSP instructions of Cortex-M4, M7 and M33.
    Dsp,
}

impl Processor {
    /// Both.
    pub const ALL: [Self; 2] = [Processor::Portable, Processor::Dsp];

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Processor::Portable => "portable",
            Processor::Dsp => "dsp",
        }
    }
}

/// The instructions that a processor takes for each kind of work.
#[derive(Debug)]
pub struct Costs {
    /// Operation, kind of work, thousandths of an instruction.
    rows: Vec<(String, String, u32)>,
}

impl Costs {
    /// The fitted costs of a processor.
    pub fn of(processor: Processor) -> &'static Self {
        &COSTS[processor as usize]
    }

    /// The rows of a table that are about this processor.
    ///
    /// # Panics
    /// If a row is not `processor,operation,work,thousandths`. The table is part of the program.
    fn parse(table: &str, processor: Processor) -> Self {
        let rows = csv::Reader::from_reader(table.as_bytes()).into_deserialize();
        let rows = rows.map(|row| row.expect("a row of the table of costs"));
        let own = rows.filter(|(name, ..): &(String, _, _, _)| name == processor.name());
        Costs { rows: own.map(|(_, operation, work, cost)| (operation, work, cost)).collect() }
    }

    /// Thousandths of an instruction for doing this work once; 0 where the table has no row, which a test refuses.
    pub(crate) fn thousandths(&self, operation: Operation, work: &str) -> u32 {
        let row = self.rows.iter().find(|(of, kind, _)| of == operation.name() && kind == work);
        row.map_or(0, |(.., cost)| *cost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Work;
    use sirocco::image::architecture::Architecture;
    use std::collections::BTreeSet;

    #[test]
    fn all_work_has_a_cost_and_all_costs_have_work() {
        let nodes = "conv from=0 out=4 kernel=3x3 stride=1x1 padding=1x1 zero=0;winograd from=1 out=4 padding=1x1 zero=0;\
                     depthwise from=2 kernel=3x3 stride=1x1 padding=1x1 zero=0;add from=3 other=1 zero=0;\
                     max from=4 kernel=2x2 stride=2x2;average from=5 kernel=2x2 stride=2x2 zero=0;\
                     dense from=6 out=4 zero=0;logits from=7 out=2";
        let steps = Architecture::parse("8x8x4", nodes).unwrap().steps;
        let work: Vec<Work> = steps.iter().map(Work::of).collect();
        let kinds = work.iter().flat_map(|work| work.counts.iter().map(|(kind, _)| (work.operation.name(), *kind)));
        let kinds: BTreeSet<(&str, &str)> = kinds.collect();
        for processor in Processor::ALL {
            let rows = &Costs::of(processor).rows;
            assert_eq!(rows.iter().map(|(of, kind, _)| (of.as_str(), kind.as_str())).collect::<BTreeSet<_>>(), kinds);
            assert_eq!(rows.len(), kinds.len(), "no row is there twice");
        }
    }
}
