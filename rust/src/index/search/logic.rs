//! Three-valued logic (Kleene) over many messages at once.
//!
//! A key without an answer yet is neither true nor false, and `AND`, `OR` and `NOT` propagate it,
//! so `UNSEEN BODY x` is false for a seen message regardless of its body.

/// Operation of a program in postfix order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    /// Push the verdicts of a leaf.
    Leaf(usize),
    /// Join the last verdicts, so many.
    And(usize),
    /// Join the last two.
    Or,
    /// Negate the last one.
    Not,
}

/// Verdicts on up to 64 messages, a bit each: true, false, or (in neither) unknown.
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

    /// Return verdicts without unknowns: `yes` is true, the rest is false.
    pub(super) fn known(yes: u64) -> Self {
        Self { yes, no: !yes }
    }

    pub(super) fn one(yes: Option<bool>) -> Self {
        yes.map_or(Self::UNKNOWN, |yes| Self::known(u64::from(yes)))
    }
}

/// Run a program; `leaf` returns the verdicts of a leaf. `stack` is a buffer.
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
