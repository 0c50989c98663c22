//! Amounts by dimension: what a bin has, what pods ask for.

use crate::manifest::{Quantity, Resources};

/// Dimensions of a bin. Cpu, memory and pods always; the rest are the resources that pods ask for, in order of name.
pub(crate) const DIMS: usize = 8;

pub(crate) const CPU: usize = 0;

pub(crate) const MEMORY: usize = 1;

pub(crate) const PODS: usize = 2;

/// How the dimensions begin that count the volumes of one driver which a node attaches. They are the last ones.
pub(crate) const VOLUMES: &str = "volumes of ";

/// Amounts by dimension. Units: milli-cpu, bytes, pieces.
pub(crate) type Vector = [i64; DIMS];

#[inline]
pub(crate) fn fits(request: &Vector, free: &Vector) -> bool {
    request.iter().zip(free).all(|(request, free)| *request == 0 || request <= free)
}

#[inline]
pub(crate) fn add(to: &mut Vector, request: &Vector, times: i64) {
    for (sum, request) in to.iter_mut().zip(request) {
        *sum += request * times;
    }
}

/// How many of a request a bin still takes.
#[inline]
pub(crate) fn times(request: &Vector, free: &Vector) -> i64 {
    let mut most = i64::MAX;
    for (request, free) in request.iter().zip(free) {
        if *request > 0 {
            if free < request {
                return 0;
            }
            most = most.min(free / request);
        }
    }
    most
}

/// An amount is at most this. No node has more, and the sum over the largest cluster still fits 64 bits.
const MOST: i64 = 1 << 45;

/// Resource amounts as a vector, between nothing and 2^45; what has no dimension is returned by name.
pub(crate) fn vector(resources: &Resources, dims: &[String]) -> (Vector, Vec<String>) {
    let mut vector = [0; DIMS];
    let mut rest = Vec::new();
    for (name, quantity) in resources {
        match dims.iter().position(|dim| dim == name) {
            Some(CPU) => vector[CPU] = quantity.milli().clamp(0, MOST),
            Some(dim) => vector[dim] = quantity.units().clamp(0, MOST),
            None if quantity.units() > 0 => rest.push(name.clone()),
            None => {}
        }
    }
    (vector, rest)
}

/// A vector as resource amounts.
pub(crate) fn resources(vector: &Vector, dims: &[String]) -> Resources {
    // Volumes are counted by the scheduler, not requested.
    let amounts = dims.iter().enumerate().filter(|(dim, name)| vector[*dim] > 0 && !name.starts_with(VOLUMES));
    amounts
        .map(|(dim, name)| {
            let amount = vector[dim];
            (name.clone(), if dim == CPU { Quantity::thousandths(amount) } else { Quantity::whole(amount) })
        })
        .collect()
}
