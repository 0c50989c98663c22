#[resource(part)]
/// Which nodes a plan may touch.
#[rule("!(has(self.names) && has(self.selector))", message = "names and selector exclude each other")]
#[rule("size(self.names) < 100")]
pub struct Scope {
    /// Names of nodes.
    #[garde(inner(length(chars, min = 1)))]
    pub names: Vec<String>,
    /// Selects nodes by label.
    #[garde(skip)]
    pub selector: Option<NodeSelector>,
    /// Parts by name.
    pub parts: BTreeMap<String, Part>,
    /// A list that must be given.
    #[required]
    pub needed: Vec<Part>,
}
