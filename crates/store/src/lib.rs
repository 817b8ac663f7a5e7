

pub mod catalog;
pub mod segment;
pub mod tables;
