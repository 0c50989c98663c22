#[resource(group = "autoscaling.cast.ai", version = "v1alpha", kind = "Policy", plural = "policies", namespaced)]
/// What may be done.
///
/// And what not.
pub struct PolicySpec {
    /// Names of what it is about.
    pub names: Vec<String>,
}
