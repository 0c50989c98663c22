//! Plans of our own planner for generated clusters.
use crate::{
    Catalog, Options, Steps,
    check::check,
    generate::{Recipe, generate},
};

const CATALOG: &str = include_str!("../../../catalog/ec2.csv");

#[test]
fn plans_for_generated_clusters_hold() {
    let catalog = Catalog::from_csv(CATALOG, "test", "2026-11").unwrap();
    let n: u64 = std::env::var("SEEDS").ok().and_then(|s| s.parse().ok()).unwrap_or(5);
    for seed in 0..n {
        let recipe = Recipe { nodes: 12 + (seed as usize * 7) % 30, seed, constrained: seed % 4 != 0, held: seed % 3 != 0 };
        let snapshot = generate(recipe, &catalog);
        let options = Options::default();
        let plan = crate::plan(&snapshot, &catalog, &options, &mut Steps(200)).unwrap();
        println!("seed {seed}: {} nodes {} pods, {} -> {}, {} waves {} moves", snapshot.nodes.len(), snapshot.pods.len(), plan.cost_before, plan.cost_after, plan.waves.len(), plan.moves());
        if let Err(violations) = check(&snapshot, &catalog, &options, &plan) {
            for v in violations.iter().take(12) { println!("   {v}");
                if v.object.contains('/') { if let Some(w)=v.wave { for m in &plan.waves[w-1].moves { if m.pod.to_string()==v.object {
                    let zone=|n:&str| snapshot.nodes.iter().find(|x| x.metadata.name==n).map(|x| x.metadata.labels["topology.kubernetes.io/zone"].clone());
                    println!("      {:?} {:?} -> {:?} {:?} remove {:?}", m.from, zone(&m.from), m.to, zone(&m.to), plan.waves[w-1].remove);
                    let p=snapshot.pods.iter().find(|p| p.metadata.key()==m.pod).unwrap();
                    println!("      {:?} {:?}", p.spec.shape.topology_spread_constraints, p.spec.shape.affinity);
                    let mut z=std::collections::BTreeMap::new();
                    for q in &snapshot.pods { if q.metadata.labels==p.metadata.labels { *z.entry(zone(&q.spec.node_name)).or_insert(0)+=1; } }
                    println!("      {z:?}");
                }}}}
            }
            println!("   ... {}", violations.len());
        }
    }
}
