#[derive(Clone, Copy, Debug, Conditions)]
#[conditions(summary(Idle = "Nobody asks for light.", words(FailureReason)))]
pub enum LampCondition {
    /// It gives light.
    #[reasons(Switched = "Somebody switched it.", Idle = "Nobody asks for light.")]
    Lit,
    /// It gives no light when it should.
    #[reasons(words(FailureReason))]
    Broken,
}
