// Package promise holds no program: its tests keep what the safe promises
// about secrets. They run the real program, as it is released, and look at it
// from outside with the eyes of a thief, of root, and of a hostile server.
//
// What they cannot show is that there is no other way. Each test therefore
// comes with a control, in which the same means do find what they look for.
package promise
