//! Signatures: places that no pod can tell apart, and which needs they satisfy.

use std::collections::BTreeSet;

use typed_index_collections::TiSlice;

use crate::manifest::marks::HOSTNAME;
use crate::model::price_list::PriceList;
use crate::model::{Matrix, NewNodeOption, NodeBin, NodeId, Numbers};
use crate::rules::placement::{Needs, Place};

/// Gives all places their signatures and returns what each stands for; `keys`: the labels that anybody asks for.
pub(super) fn sign(
    nodes: &mut TiSlice<NodeId, NodeBin>,
    places: Vec<Place>,
    offerings: &mut [NewNodeOption],
    price_list: &mut PriceList,
    needs: &[Needs],
    keys: &BTreeSet<&str>,
) -> (Matrix, Vec<Place>) {
    let by_name = needs.iter().any(Needs::asks_for_names);
    let mut signatures: Numbers<Place> = Numbers::new();
    let mut signature = |mut place: Place| {
        place.labels.retain(|key, _| keys.contains(key.as_str()));
        if !by_name {
            place.name.clear();
        }
        signatures.number(place)
    };
    for (node, place) in nodes.iter_mut().zip(places) {
        node.signature = signature(place);
    }
    for offering in offerings {
        offering.signature = signature(offering.place.clone());
    }
    for group in &mut price_list.groups {
        group.signature = signature(group.place.clone());
    }
    let places = signatures.into_values();
    (admitted(needs, &places), places)
}

/// Which needs each place satisfies. Those that ask for no node by name are answered once for all nodes alike.
fn admitted(needs: &[Needs], places: &[Place]) -> Matrix {
    let mut alike: Numbers<Place> = Numbers::new();
    let nameless: Vec<usize> = places
        .iter()
        .map(|place| {
            let mut place = place.clone();
            place.name.clear();
            place.labels.remove(HOSTNAME);
            alike.number(place)
        })
        .collect();
    let alike = alike.into_values();
    let mut admits = Matrix::new(needs.len(), places.len());
    for (row, needs) in needs.iter().enumerate() {
        let by_name = needs.asks_for_names() || needs.keys().any(|key| key == HOSTNAME);
        let of_alike: Vec<bool> =
            if by_name { Vec::new() } else { alike.iter().map(|place| needs.admits(place) == Some(true)).collect() };
        for (column, place) in places.iter().enumerate() {
            let admitted = if by_name { needs.admits(place) == Some(true) } else { of_alike[nameless[column]] };
            if admitted {
                admits.set(row, column);
            }
        }
    }
    admits
}
