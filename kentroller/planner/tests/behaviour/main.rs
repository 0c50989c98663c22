//! What a plan does in small clusters: the behaviours of Karpenter that a rival owes its users, and the scheduler's rules.

mod facts;
mod karpenter;
mod pools;
mod scene;
mod scheduler;
mod wishes;
