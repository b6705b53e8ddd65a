-- false, not nil: a false that Git declares stays as it is.
obj.spec.suspend = false
return obj
