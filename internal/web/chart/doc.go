// Package chart draws the few pictures that the pages need, as SVG inside
// HTML: strips of days, lines and bars over time. It is pure, has no clock,
// and brings neither style nor script: colours are the classes of the page's
// style sheet, so that a picture is light or dark with its page.
//
// Colour is never alone: each state of a day has a shape of its own. Every
// picture has a title and a description for those who do not see it; whoever
// uses one still owes them the figures as a table.
//
// Texts are escaped, and shown as they are otherwise: what is hostile in a
// name is made harmless before it comes here.
package chart
