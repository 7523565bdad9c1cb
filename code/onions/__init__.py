"""What builds *Networks are like onions* and makes sure that it cannot lie."""
