"""Reports: `freeze` collects every figure once, `render` turns a frozen report into one offline HTML file."""
