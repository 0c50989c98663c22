use kentroller_runtime::Conditions;

#[derive(Clone, Copy, Conditions)]
pub enum LampCondition {
    /// Every kind has this.
    Ready,
    Lit,
    /// Carries something.
    Broken(u8),
}

#[derive(Clone, Copy, Conditions)]
pub struct NotAnEnum;

fn main() {}
