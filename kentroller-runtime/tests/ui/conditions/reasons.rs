use kentroller_runtime::Conditions;

#[derive(Clone, Copy, Conditions)]
#[conditions(summary(is_idle = "A reason is one word in PascalCase.", Idle = ""))]
pub enum LampCondition {
    /// It gives light.
    #[reasons(Switched = "Somebody switched it.", Switched = "Twice.")]
    Lit,
    /// It gives no light when it should.
    #[reasons(Broken)]
    Broken,
}

fn main() {}
