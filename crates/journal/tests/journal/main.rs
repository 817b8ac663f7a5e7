//! The journal through its public surface: life cycle, damage, faults and a model.

mod damage;
mod faults;
mod life_cycle;
mod model;
mod sim;
mod support;
