//! The refusal of memory: whose limit it was, and what to do about it. What the limits are is the pool's business.

/// What set the limit that a reservation ran into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The budget.
    Budget,
    /// The system: it refused to map what the budget allows.
    System,
}

/// There is no memory for a reservation now. One that is larger than the budget never succeeds; another may, later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted {
    /// The budget.
    pub budget_bytes: u64,
    /// What is handed out or set aside.
    pub in_use_bytes: u64,
    /// What was asked for.
    pub wanted_bytes: u64,
    /// Whose limit it was.
    pub limit: Limit,
}

impl std::fmt::Display for Exhausted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Exhausted { budget_bytes, in_use_bytes, wanted_bytes, limit } = self;
        match limit {
            Limit::System => write!(
                f,
                "the system has no {wanted_bytes} bytes more ({in_use_bytes} of the memory budget of {budget_bytes} bytes are in use); lower --memory or raise the system's limit"
            ),
            Limit::Budget if wanted_bytes > budget_bytes => write!(
                f,
                "{wanted_bytes} bytes are wanted, the memory budget has {budget_bytes} bytes in all; raise --memory"
            ),
            Limit::Budget => write!(
                f,
                "the memory budget of {budget_bytes} bytes is in use ({in_use_bytes} bytes; {wanted_bytes} more were wanted); raise --memory"
            ),
        }
    }
}

impl std::error::Error for Exhausted {}
