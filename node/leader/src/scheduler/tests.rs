mod desk;
mod limits;
mod order;
mod size;
mod year;
