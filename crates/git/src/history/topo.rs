//! Sorting a list of commits so that no parent comes before its children.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use crate::history::revwalk::{Order, Walker};
use crate::outcome::Res;
use crate::repository::id::Id;
use crate::repository::object::Person;

/// The order boundary commits are sorted in.
pub(crate) fn boundary_order(order: Order) -> Order {
    match order {
        Order::Default => Order::Topo,
        other => other,
    }
}

/// Sorts a list; parents that are not in it do not count.
pub(crate) fn sort(walker: &Walker<'_>, list: Vec<Id>, order: Order) -> Res<Vec<Id>> {
    let mut degree: HashMap<Id, usize> = list.iter().map(|id| (*id, 1)).collect();
    for id in &list {
        for parent in walker.parents_of(*id) {
            if let Some(n) = degree.get_mut(&parent) {
                *n += 1;
            }
        }
    }
    let mut out = Vec::with_capacity(list.len());
    let tips = list.iter().copied().filter(|id| degree[id] == 1);
    if order == Order::Topo || order == Order::Default {
        // The last one pushed comes first; tips in their order.
        let mut stack: Vec<Id> = tips.rev().collect();
        while let Some(id) = stack.pop() {
            out.push(id);
            degree.insert(id, 0);
            for parent in walker.parents_of(id) {
                if let Some(n) = degree.get_mut(&parent).filter(|n| **n > 0) {
                    *n -= 1;
                    if *n == 1 {
                        stack.push(parent);
                    }
                }
            }
        }
        return Ok(out);
    }
    let mut heap: BinaryHeap<(i64, Reverse<u64>, Id)> = BinaryHeap::new();
    let mut counter = 0;
    let mut ready: Vec<Id> = tips.collect();
    loop {
        for id in ready.drain(..) {
            counter += 1;
            heap.push((sort_time(walker, id, order)?, Reverse(counter), id));
        }
        let Some((_, _, id)) = heap.pop() else { break };
        out.push(id);
        degree.insert(id, 0);
        for parent in walker.parents_of(id) {
            if let Some(n) = degree.get_mut(&parent).filter(|n| **n > 0) {
                *n -= 1;
                if *n == 1 {
                    ready.push(parent);
                }
            }
        }
    }
    Ok(out)
}

fn sort_time(walker: &Walker<'_>, id: Id, order: Order) -> Res<i64> {
    if order == Order::AuthorDate {
        return Ok(Person::parse(&walker.repo.commit(id)?.author).time);
    }
    Ok(walker.known(id).map_or(0, |n| n.time))
}
