import "./lib/dom";
