//! Three-valued logic over many messages at once.
//!
//! A key that cannot be answered yet is neither true nor false; `AND`, `OR` and `NOT` go on with it
//! as Kleene's logic has it, so `UNSEEN BODY x` is false of a seen message whatever its body says.

/// A step of a program in postfix order: operands stand before what joins them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    /// The verdicts of a leaf.
    Leaf(usize),
    /// All of the last so many.
    And(usize),
    /// Either of the last two.
    Or,
    /// Not the last one.
    Not,
}

/// For up to 64 messages, a bit each: known to be so, known not to be so. Neither: not known yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Verdicts {
    pub yes: u64,
    pub no: u64,
}

impl Verdicts {
    pub(super) const UNKNOWN: Self = Self { yes: 0, no: 0 };
    const TRUE: Self = Self {
        yes: u64::MAX,
        no: 0,
    };

    /// All known: `yes` is so, the rest is not.
    pub(super) fn known(yes: u64) -> Self {
        Self { yes, no: !yes }
    }

    pub(super) fn one(yes: Option<bool>) -> Self {
        yes.map_or(Self::UNKNOWN, |yes| Self::known(u64::from(yes)))
    }
}

/// Run a program; `leaf` gives the verdicts of its leaves. `stack` is room to work in.
pub(super) fn run(
    program: &[Op],
    stack: &mut Vec<Verdicts>,
    mut leaf: impl FnMut(usize) -> Verdicts,
) -> Verdicts {
    stack.clear();
    for op in program {
        let verdicts = match *op {
            Op::Leaf(at) => leaf(at),
            Op::And(count) => {
                let from = stack.len().saturating_sub(count);
                stack
                    .drain(from..)
                    .fold(Verdicts::TRUE, |all, one| Verdicts {
                        yes: all.yes & one.yes,
                        no: all.no | one.no,
                    })
            }
            Op::Or => {
                let (one, other) = (pop(stack), pop(stack));
                Verdicts {
                    yes: one.yes | other.yes,
                    no: one.no & other.no,
                }
            }
            Op::Not => {
                let Verdicts { yes, no } = pop(stack);
                Verdicts { yes: no, no: yes }
            }
        };
        stack.push(verdicts);
    }
    pop(stack)
}

fn pop(stack: &mut Vec<Verdicts>) -> Verdicts {
    stack.pop().unwrap_or(Verdicts::UNKNOWN)
}
