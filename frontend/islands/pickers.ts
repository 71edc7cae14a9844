/**
 * Enlivens the pickers of a form: a calendar beside a date, a list of units under a name.
 *
 * Without this script both are plain inputs whose words the server reads: see forms.html.
 */
import { enliven as enlivenDate } from "./pickers/date_picker";
import { enliven as enlivenUnit } from "./pickers/unit_picker";

document.querySelectorAll<HTMLElement>('[data-island="date-picker"]').forEach(enlivenDate);
document.querySelectorAll<HTMLElement>('[data-island="unit-picker"]').forEach(enlivenUnit);
