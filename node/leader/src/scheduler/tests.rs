mod desk;
mod follow;
mod limits;
mod order;
mod size;
mod year;
